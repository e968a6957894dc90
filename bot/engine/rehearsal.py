"""A rehearsal of the engine on a made-up market: every compiled loop is compiled, or loaded, before real data comes.

How it works: an engine of its own, with the run's own settings, walks the start of a session, opens a position, sees
books grow, empty and come back, closes the position, and loses its connection. Nothing of it leaves: requests and
Decisions are dropped.
"""

from dataclasses import replace
from decimal import Decimal

from bot.account.account import AccountState
from bot.account.conversion import ConversionStep
from bot.account.position import Position
from bot.engine import events as ev
from bot.engine.engine import Engine
from bot.engine.settings import EngineSettings
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
    delta_rows,
)
from bot.market.symbols import SymbolSpec

_SECOND = 1_000_000_000
_START_NS = 1_700_000_000 * _SECOND
_MID_E5, _MORE_LEVELS_THAN_FIT = 110_000, 140


def rehearse(settings: EngineSettings) -> None:
    """Let an engine with these settings decide for some seconds of a market that does not exist."""
    engine = Engine(replace(settings, run_id="rehearsal", flatten_on_stop=True))
    names = [choice.name for choice in settings.symbols]
    specs = tuple(SymbolSpec(i + 1, n, "EUR", "USD", 5, 4, 10_000_000, 1, 1, 10**12) for i, n in enumerate(names))
    chains = {"USD": (), "EUR": (ConversionStep(0, False),)}
    now_ns = _START_NS
    account = AccountState(1, "USD", Decimal(1_000_000), 1, 500.0)
    held = Position(1, 1, 100_000_00, 1.1, label=settings.label, opened_ns=now_ns)
    for event in (
        ev.AccountLoaded(now_ns, account),
        ev.SymbolsLoaded(now_ns, specs, len(specs), chains, chains),
        ev.Reconciled(now_ns, (held,), ()),
        ev.ReadinessChanged(now_ns, ()),
    ):
        engine.receive(event)
        engine.decide(now_ns)
    for step in range(12):
        now_ns += _SECOND // 4
        rows = [row for s in range(len(specs)) for row in _quotes(s, step)]
        engine.receive(ev.MarketDataChanged(now_ns, delta_rows(rows)))
        engine.decide(now_ns)
        engine.decide(now_ns + 1)
    engine.if_spread_doubles()  # asked by those who watch, and no run is to wait for them
    engine.receive(ev.CommandGiven(now_ns, "stop"))
    engine.decide(now_ns)
    engine.receive(ev.ReadinessChanged(now_ns, ("disconnected",)))
    engine.decide(now_ns)


def _quotes(s: int, step: int) -> list[tuple[int, int, int, int, int]]:
    """Return one message of each kind; the first holds more levels than a book has room for."""
    spot = [(SPOT_BID, s, 0, _MID_E5 - 1, 0), (SPOT_ASK, s, 0, _MID_E5 + 1 + step % 2, 0), (END_SPOT, s, 0, 0, 0)]
    if step == 6:
        return [*spot, (CLEAR_BOOK, s, 0, 0, 0)]
    count = _MORE_LEVELS_THAN_FIT if step == 0 else 5
    size = 1_000_000_00
    bids = [(DEPTH_BID, s, 2 * i + 1, _MID_E5 - 1 - i, size + step) for i in range(count)]
    asks = [(DEPTH_ASK, s, 2 * i + 2, _MID_E5 + 1 + step % 2 + i, size) for i in range(count)]
    return [*spot, (DEPTH_DELETE, s, 2 * step + 1, 0, 0), *bids, *asks, (END_DEPTH, s, 0, 0, 0)]
