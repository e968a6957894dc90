"""What a config says of its trials: account, costs and the way to the venue, and which recordings are wanted."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from bot import __version__
from bot.assembly import ledger_path
from bot.config import Config
from bot.journal.ledger_file import LedgerError
from bot.journal.ledger_reader import round_trips_ns
from bot.recorded import recorded_sources
from bot.research.backtest.conditions import Conditions, Swap
from bot.research.backtest.latency import Latency, Measured, latency
from bot.research.compare.kept_runs import digest_of, file_facts
from bot.research.sources import Source, open_sources
from bot.sim.rates import Rates

_SIDES = {"long": 1, "short": -1}


def conditions_of(config: Config, *, seed: int = 1, measured: Latency | None = None) -> Conditions:
    """Return what a config's section `backtest` assumes.

    Args: `measured` is the latency for `latency: ledger`; None takes it from the ledger of the config's account.
    Raises: ConfigError naming the key.
    """
    given = config.backtest
    for name in given.swaps:
        if name not in config.symbols:
            text = f"is no symbol of this config; it has: {', '.join(config.symbols)}"
            raise config.error_at(f"backtest.swaps.{name}", text)
    if given.latency == "ledger":
        way: Latency = measured_latency(config) if measured is None else measured
    else:
        try:
            way = latency(given.latency)
        except ValueError as error:
            raise config.error_at("backtest.latency", str(error)) from None
    return Conditions(
        balance=Decimal(str(given.balance)),
        deposit_currency=given.deposit_currency,
        account_type=given.account_type,
        leverage=given.leverage,
        commission_per_million=Decimal(str(given.commission_per_million)),
        stop_out_frac=config.risk.stop_out_level_frac,
        latency=way,
        clock_s=given.clock_s,
        resilience_half_life_s=given.resilience_half_life_s,
        rejects_dead_quotes=given.reject_dead_quotes,
        swaps={name: Swap(swap.long_bps, swap.short_bps) for name, swap in given.swaps.items()},
        seed=seed,
    )


def inputs_of(config: Config, names: Sequence[str], conditions: Conditions) -> dict[str, object]:
    """Return what runs are made from beside the config's text, as what JSON can hold.

    That is the files of the sources, the code of a strategy that is a file, what the ledger has measured of the
    latency, and the version of this program.
    """
    strategy = Path(config.strategy.name).expanduser()
    way = conditions.latency
    return {
        "version": __version__,
        "strategy": digest_of(strategy.read_text("utf-8")) if strategy.is_file() else None,
        "data": file_facts(list(names)),
        "latency": list(way.ways_ns) if isinstance(way, Measured) else None,
    }


def sides_of(config: Config) -> dict[str, int | None]:
    """Return which side each symbol is held on: +1 long, -1 short, None where the config does not say."""
    return {name: _SIDES.get(symbol.direction) for name, symbol in config.symbols.items()}


def measured_latency(config: Config) -> Measured:
    """Return the latency that the ledger of a config's account has measured: half of each round trip of an order.

    Raises: ConfigError naming the key, when there is no such ledger, or no order in it has been filled at the market.
    """
    path = ledger_path(config)
    try:
        trips_ns = round_trips_ns(path, round(config.execution.order_timeout_s * 1e9))
    except LedgerError as error:
        raise config.error_at("backtest.latency", f"is 'ledger': {error}") from None
    if not trips_ns:
        text = f"is 'ledger', but no market order in {path} has been filled yet; write a time such as 50ms:250ms"
        raise config.error_at("backtest.latency", text)
    return Measured(trips_ns)


def open_trial_sources(config: Config, names: Sequence[str], seed: int = 1) -> list[Source]:
    """Return the sources of a config's symbols, and of what converts their money; others are left out.

    Args: `names` files, folders of days, journals, or synthetic markets.
    Raises: ValueError, one line.
    """
    symbols, deposit = tuple(config.symbols), config.backtest.deposit_currency
    sources = open_sources(names, symbols, seed, others=recorded_sources)
    rates = Rates(tuple(source.spec for source in sources), {})
    wanted = set(symbols)
    for source in sources[: len(symbols)]:
        for asset in (source.spec.base_asset, source.spec.quote_asset):
            wanted |= {spec.name for spec, _ in rates.chain(asset, deposit) or ()}
    return [source for source in sources if source.spec.name in wanted]
