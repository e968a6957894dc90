"""`microlev download`: the broker's own ticks, a file a symbol and day, to replay and to test on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import moment_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.cli.download_lines import DownloadLines
    from bot.config import Config
    from bot.ctrader.tick_download import TickDay, TickSource, TickSpan
    from bot.net.enquirer import EnquiryFailed
    from bot.research.tick_archive import TickArchive

_DAY_MS = 86_400_000
_MOST_DROPS = 8
_LONGEST_PAUSE_S = 30.0


def download(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="A date, or an ISO 8601 time; UTC.")],
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", metavar="NAME", help="May be repeated; default: the config's.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="As --from, and exclusive; default: now.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for DIR/SYMBOL/SYMBOL_DATE.parquet.")] = Path(
        "ticks"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Ask again for days that are there, and replace them.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Download bid and ask ticks. Days that are there already are not asked for again, so a download that was stopped
    goes on; it only reads, and a view-scope token will do."""
    import os

    from bot.cli.download_lines import download_lines
    from bot.cli.screen import log_to_stderr
    from bot.config import load_config
    from bot.net.clock import run_clock
    from bot.research.tick_archive import ArchiveUnusable, TickArchive

    loaded = load_config(config, os.environ)
    clock = run_clock()
    now_ms = clock() // 1_000_000
    from_ms, to_ms = _period(begin, end, now_ms)
    log_to_stderr()
    archive = TickArchive(out, from_ms, to_ms, now_ms, force=force)
    try:
        with archive.locked():
            return _run(loaded, symbol or list(loaded.symbols), archive, download_lines(clock, str(out), json=json))
    except ArchiveUnusable as error:
        typer.echo(str(error), err=True)
        return error.exit_code


def _period(begin: str, end: str | None, now_ms: int) -> tuple[int, int]:
    from_ms = moment_ms(begin, "--from")
    to_ms = now_ms if end is None else moment_ms(end, "--to")
    day_end_ms = (now_ms // _DAY_MS + 1) * _DAY_MS
    if from_ms < 0:
        raise typer.BadParameter(f"{begin} is before 1970", param_hint="--from")
    if from_ms >= now_ms:
        raise typer.BadParameter(f"{begin} is in the future", param_hint="--from")
    if to_ms > day_end_ms:
        raise typer.BadParameter(f"{end} is in the future: it may be the end of today at most", param_hint="--to")
    if to_ms <= from_ms:
        raise typer.BadParameter(f"{end} is not after {begin}: --to is exclusive", param_hint="--to")
    return from_ms, min(to_ms, now_ms)


def _run(config: "Config", symbols: list[str], archive: "TickArchive", lines: "DownloadLines") -> int:
    from bot.config import client_secrets, load_token
    from bot.ctrader.enquiry import Script
    from bot.ctrader.tick_download import download_ticks
    from bot.net.enquirer import EnquiryFailed, enquire_again

    client, token = client_secrets(config), load_token(config)
    keeper, drops = _Keeper(archive, lines), _Drops(lines)

    def new_script() -> Script[None]:
        return download_ticks(symbols, token.access_token, config.account.id, config.venue.environment, keeper)

    failed = None
    try:
        enquire_again(config, client, new_script, drops.pause_s, on_progress=lines.progress)
        lines.is_complete = True
    except EnquiryFailed as error:
        failed = error
    finally:
        lines.summarise()
    if failed is None:
        return 0
    rest = "; the same command goes on from here" if lines.stored_count else ""
    typer.echo(f"{failed.text}{rest}", err=True)
    return failed.exit_code


class _Keeper:
    """The `TickTaker` of the command: what is there is the archive's to know, what comes is told and stored."""

    def __init__(self, archive: "TickArchive", lines: "DownloadLines") -> None:
        self._archive, self._lines = archive, lines
        self._known_count = 0
        self.advanced, self.waiting = lines.advanced, lines.waiting

    def missing(self, source: "TickSource") -> "list[TickSpan]":
        told = set(self._archive.corrupt)
        wanted = self._archive.missing(source)
        self._known_count += self._archive.day_count - len(wanted)
        for path, why in self._archive.corrupt.items():
            if path not in told:
                self._lines.note(f"{why}; its day is asked for again")
        return wanted

    def begin(self, spans: "Sequence[tuple[TickSource, TickSpan]]") -> None:
        self._lines.begin(list(spans), self._known_count)

    def take(self, day: "TickDay") -> None:
        self._lines.stored(day, self._archive.store(day))


class _Drops:
    """How long to wait before a lost connection is made again; it gives up after several without a day between."""

    def __init__(self, lines: "DownloadLines") -> None:
        self._lines = lines
        self._count = self._stored = 0

    def pause_s(self, failed: "EnquiryFailed") -> float | None:
        """Return the pause, None to end with this failure."""
        if self._lines.stored_count > self._stored:
            self._stored, self._count = self._lines.stored_count, 0
        self._count += 1
        if not self._lines.has_begun or self._count > _MOST_DROPS:
            return None
        # Never under two seconds: the next connection does not know what this one has asked in the last second.
        pause_s = min(_LONGEST_PAUSE_S, 2.0**self._count)
        self._lines.waiting(failed.text, pause_s)
        return pause_s
