"""Rules that compare keys with each other, and what this version can and cannot do with them."""

import difflib
import os
import stat
from collections.abc import Sequence
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path

from bot.config.loopback import is_address, is_loopback
from bot.config.model import Config
from bot.config.source import Key

BUILT_STRATEGIES = (
    "constant",
    "liquidity-weighted",
    "impact-minimizing",
    "order-book-imbalance",
    "composite",
    "volatility-adaptive",
    "market-making",
    "mispricing",
)
# Where an installed package offers strategies of its own.
STRATEGY_ENTRY_POINTS = "microlev.strategies"
# These decide how much, never which way: `direction: signal` has nothing to listen to.
WITHOUT_DIRECTION = ("constant", "liquidity-weighted", "impact-minimizing", "volatility-adaptive")


def is_strategy_file(name: str) -> bool:
    """Tell whether a strategy's name is the path of a Python file."""
    return name.endswith(".py") or "/" in name or "\\" in name


def contradictions(config: Config) -> dict[Key, str]:
    """Return what is wrong between keys that are each valid alone, by key; empty when nothing is."""
    found: dict[Key, str] = {}
    environment = config.venue.environment
    if environment != "simulator" and config.account.id is None:
        hint = "`microlev auth accounts CONFIG` lists yours"
        found["account", "id"] = f"is missing; it is required for {environment} ({hint})"
    name = config.strategy.name
    if is_strategy_file(name):
        if not Path(name).expanduser().is_file():
            found["strategy", "name"] = f"no strategy file at {name!r}"
    elif name not in BUILT_STRATEGIES and not entry_points(group=STRATEGY_ENTRY_POINTS, name=name):
        close = difflib.get_close_matches(name.lower(), BUILT_STRATEGIES, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        found["strategy", "name"] = (
            f"unknown strategy {name!r}{hint}; allowed: {', '.join(BUILT_STRATEGIES)}, or the path of a .py file"
        )
    if name in WITHOUT_DIRECTION:
        for symbol, settings in config.symbols.items():
            if settings.direction == "signal":
                found["symbols", symbol, "direction"] = (
                    f"is 'signal', but the strategy {name!r} has no direction; use long, short or follow"
                )
    recording = config.recording
    if recording.max_disk_gb is not None and recording.max_disk_gb * 1000 < 2 * recording.segment_mb:
        found["recording", "max_disk_gb"] = (
            f"{recording.max_disk_gb:g} GB is no room for two segments of {recording.segment_mb:g} MB "
            "(recording.segment_mb)"
        )
    return found | leverage_contradictions(config) | telemetry_contradictions(config)


def leverage_contradictions(config: Config) -> dict[Key, str]:
    """Return what is wrong with the leverage bands and windows."""
    found: dict[Key, str] = {}
    bands = config.risk.leverage_bands
    for number, (band, after) in enumerate(pairwise(bands), 1):
        key = "risk", "leverage_bands", str(number)
        if after.equity_from <= band.equity_from:
            text = f"{after.equity_from:g} is not above {band.equity_from:g}; list the bands by rising equity"
            found[*key, "equity_from"] = text
        elif after.leverage >= band.leverage:
            text = f"{after.leverage:g} is not below {band.leverage:g}, that of less equity; a band lowers leverage"
            found[*key, "leverage"] = text
    for number, window in enumerate(config.risk.leverage_windows):
        key = "risk", "leverage_windows", str(number)
        if window.at.tzinfo is None:
            found[*key, "at"] = f"{window.at.isoformat()} has no time zone; write {window.at.isoformat()}Z for UTC"
        if not window.minutes_before + window.minutes_after > 0:
            found[*key, "minutes_after"] = "the window has no length: minutes_before and minutes_after are both 0"
        for symbol in window.symbols:
            if symbol not in config.symbols:
                names = ", ".join(config.symbols)
                found[*key, "symbols"] = f"{symbol!r} is not one of the symbols of this config: {names}"
    return found


def telemetry_contradictions(config: Config) -> dict[Key, str]:
    """Return what would let others in, or read along, without being asked to; and files that cannot serve."""
    given, found = config.telemetry, dict[Key, str]()
    both = "certificate_file and private_key_file"
    certificate, private_key = given.certificate_file, given.private_key_file
    has_tls = certificate is not None and private_key is not None
    if given.host != "localhost" and not is_address(given.host):
        found["telemetry", "host"] = (
            f"is {given.host!r}; should be an address of this machine, as 127.0.0.1, ::1, 0.0.0.0"
        )
    elif not is_loopback(given.host) and not (given.expose and has_tls):
        text = f"others than this machine can connect to {given.host}: that needs `expose: true`, {both}"
        found["telemetry", "host"] = f"{text}; a tunnel to 127.0.0.1 needs none of them (docs/security.md)"
    if given.expose and not has_tls:
        text = f"needs {both}: without TLS whoever reads along has the token, and can close every position"
        found["telemetry", "expose"] = text
    if (certificate is None) != (private_key is None):
        key, other = "private_key_file", "certificate_file"
        key, other = (key, other) if private_key is not None else (other, key)
        found["telemetry", key] = f"is of no use without {other}; give both, or neither"
    elif given.enabled and certificate is not None and private_key is not None:
        for key, path in (("certificate_file", certificate), ("private_key_file", private_key)):
            if trouble := _unreadable(path, is_secret=path is private_key):
                found["telemetry", key] = trouble
    return found


def _unreadable(path: Path, *, is_secret: bool) -> str | None:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    if is_secret and os.name == "posix" and mode & 0o077:
        return f"others can read {path} (mode {mode:04o}); run: chmod 600 {path}"
    return None


def check_supported(config: Config) -> list[str]:
    """Return one warning for each key that asks for something this version does not do."""
    warnings = []
    if config.risk.min_margin_level_frac <= config.risk.stop_out_level_frac:
        warnings.append(
            f"risk.min_margin_level_frac: {config.risk.min_margin_level_frac:g} is not above the broker's stop-out "
            f"level, {config.risk.stop_out_level_frac:g}; the broker would close positions before the bot does"
        )
    return warnings


MOST_TOGETHER = 5


def check_together(configs: Sequence[Config]) -> None:
    """Refuse configs that cannot run side by side on one connection.

    Raises: ConfigError when they name different venues or credentials, one account twice, or one state folder twice.
    """
    first = configs[0]
    if len(configs) > MOST_TOGETHER:
        text = f"{len(configs)} configs are too many for one connection: it has 5 history requests a second to share"
        raise first.error_at("account.id", f"{text}; run at most {MOST_TOGETHER} together")
    for number, config in enumerate(configs):
        if config.venue != first.venue:
            raise config.error_at("venue", "differs from that of the first config; one connection has one venue")
        if config.credentials != first.credentials:
            raise config.error_at("credentials", "differ from those of the first config; one connection has one login")
        if len(configs) > 1 and config.account.id is None:
            raise config.error_at("account.id", "is missing; it is required when several accounts are run together")
        if config.account.id in [other.account.id for other in configs[:number]]:
            raise config.error_at("account.id", f"{config.account.id} is in another of these configs already")
        folders = [_resolved(other.state.directory) for other in configs[:number]]
        folder = _resolved(config.state.directory)
        if folder is not None and folder in folders:
            other = configs[folders.index(folder)].account.id
            text = (
                f"{folder} is that of account {other} already; ledger, socket and stop file need one folder an account"
            )
            raise config.error_at("state.directory", f"{text}: name another, or leave it out")


def _resolved(directory: Path | None) -> Path | None:
    return None if directory is None else directory.expanduser().resolve()


def check_live(config: Config, live_flag: bool) -> None:
    """Refuse to trade real money unless everything that must be said has been said.

    Args: `live_flag` is `--live` of the command line. Without trading, or off the live environment, it has no effect.
    Raises: ConfigError that names what is missing.
    """
    if config.venue.environment != "live" or config.mode != "trade":
        return
    if config.account.id is None:
        raise config.error_at("account.id", "is missing; it is required for live")
    if not {"max_daily_loss_frac", "max_drawdown_frac"} & config.risk.model_fields_set:
        raise config.error_at(
            "risk", "live trading needs a loss limit of your own: write max_daily_loss_frac or max_drawdown_frac"
        )
    if not live_flag:
        raise config.error_at("mode", "is trade on a live account; add --live to trade real money, or use --dry-run")
