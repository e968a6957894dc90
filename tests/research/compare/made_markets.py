"""Markets made of messages, in which it is known what each arm of a comparison has to come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bot.comparing import Contest, compare
from bot.config import parse_config
from bot.market.delta import DELTA, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.latency import Fixed
from bot.research.backtest.messages import Messages, messages
from bot.research.compare.arms import arms_named
from bot.research.compare.comparison import Comparison
from bot.research.compare.kept_runs import RunFolder
from bot.research.compare.minutes import DAY_NS, MINUTE_NS, Minutes
from bot.research.compare.signals import directions_of
from bot.research.sources import Source
from bot.sim.listing import default_symbols
from bot.trial_pool import Progressed, Task

SECOND_NS = 1_000_000_000
MONDAY = 16_195  # 2014-05-05
LEVELS = 4
STEP_NS = 4 * SECOND_NS
CONFIG = """
symbols: {EURUSD: {}}
venue: {environment: simulator, ca_file: none}
strategy: {name: composite, base_leverage: 2}
risk: {max_daily_loss_frac: 1.0, max_drawdown_frac: 1.0, max_slippage_beyond_bps: 1000}
execution: {max_slippage_bps: 50}
backtest: {calibration_days: 1}
"""
FREE = Conditions(
    commission_per_million=Decimal(0),
    latency=Fixed(0.0),
    resilience_half_life_s=0.0,
    rejects_dead_quotes=False,
    clock_s=4.0,
)


@dataclass(frozen=True)
class MarketPath:
    """A market. Shapes: each (T,). Units: ns; points of 1/100000; base units at each of `LEVELS` a point apart."""

    times_ns: np.ndarray
    mid_e5: np.ndarray
    half_e5: np.ndarray
    units: np.ndarray


def book_messages(path: MarketPath) -> Messages:
    """Return a market's messages: at each time the spot prices and a whole new book."""
    count = len(path.times_ns)
    width = 3 + 4 * LEVELS + 1
    rows = np.zeros((count, width), DELTA)
    step = np.arange(LEVELS)
    bids = path.mid_e5[:, None] - path.half_e5[:, None] - step
    asks = path.mid_e5[:, None] + path.half_e5[:, None] + step
    rows["kind"][:, :3] = (SPOT_BID, SPOT_ASK, END_SPOT)
    rows["price_e5"][:, 0], rows["price_e5"][:, 1] = bids[:, 0], asks[:, 0]
    ids = 1 + np.arange(count)[:, None] * 2 * LEVELS + np.arange(2 * LEVELS)
    gone, came = slice(3, 3 + 2 * LEVELS), slice(3 + 2 * LEVELS, 3 + 4 * LEVELS)
    rows["kind"][:, gone] = DEPTH_DELETE
    rows["quote_id"][:, gone] = ids - 2 * LEVELS
    rows["kind"][:, came] = [DEPTH_BID] * LEVELS + [DEPTH_ASK] * LEVELS
    rows["quote_id"][:, came] = ids
    rows["price_e5"][:, came] = np.concatenate([bids, asks], axis=1)
    rows["size_cents"][:, came] = (path.units[:, None] * 100).astype(np.int64)
    rows["kind"][:, -1] = END_DEPTH
    shown = np.ones(rows.shape, np.bool_)
    shown[0, gone] = False  # there is nothing to delete yet
    return messages(path.times_ns, shown.sum(axis=1), rows[shown])


def source_of(path: MarketPath, hours: Sequence[tuple[int, int]]) -> Source:
    """Return a market as a source. Args: `hours` when it is open, seconds of a week that begins on Sunday, UTC."""
    told = book_messages(path)
    spec = next(spec for spec in default_symbols() if spec.name == "EURUSD")
    spec = replace(spec, symbol_id=1, schedule=tuple(hours), schedule_time_zone="UTC")
    span_ns = int(path.times_ns[0]), int(path.times_ns[-1])

    def stream(place: int, from_ns: int) -> Any:
        size = 5_000
        return iter([told.part(i, min(i + size, len(told.times_ns))) for i in range(0, len(told.times_ns), size)])

    return Source("made", spec, "made", span_ns, stream)


def walk(times_ns: np.ndarray, seed: int, step_e5: int = 2) -> np.ndarray:
    """Return a mid that goes up or down by a step, or stays, in 1/100000."""
    return 110_000 + np.cumsum(np.random.default_rng(seed).integers(-1, 2, len(times_ns)) * step_e5)


@cache
def still_market(after: int = 1, half_e5: int = 0) -> tuple[Source, ...]:
    """Return a market across a UTC midnight, 80 minutes before it and 40 after, in which liquidity never changes.

    Args: `after` the seed of what prices do from midnight on, and of nothing else; `half_e5` half the spread.
    """
    midnight_ns = (MONDAY + 1) * DAY_NS
    times_ns = midnight_ns + np.arange(-80 * MINUTE_NS, 40 * MINUTE_NS, STEP_NS)
    before = int((times_ns < midnight_ns).sum())
    mid_e5 = walk(times_ns, 1)
    mid_e5[before:] = mid_e5[before - 1] + walk(times_ns[before:], after) - 110_000
    same = np.ones(len(times_ns), np.int64)
    return (source_of(MarketPath(times_ns, mid_e5, half_e5 * same, same * 100_000_000), [(0, 7 * 86_400)]),)


GAP_E5 = 60
OPEN_S, OPEN_MINUTES = 3_600, 215
EVENT_NS, GAP_AFTER_NS = 180 * SECOND_NS, 60 * SECOND_NS


def event_minutes(day: int) -> list[int]:
    """Return when liquidity falls on a day, minutes after its market opens: never at the same time on two days."""
    return [45 + 9 * day + 45 * i for i in range(4)]


@cache
def edge_market(seed: int = 1, days: int = 4) -> tuple[Source, ...]:
    """Return days of a few hours in which liquidity falls four times, and a minute later the price gaps against the
    random direction of that hour: whoever is still large then loses."""
    times_ns = np.concatenate([
        (MONDAY + day) * DAY_NS + OPEN_S * SECOND_NS + np.arange(0, OPEN_MINUTES * MINUTE_NS, STEP_NS)
        for day in range(days)
    ])  # fmt: skip
    mid_e5 = walk(times_ns, seed, 1)
    half_e5, units = np.full(len(times_ns), 3), np.full(len(times_ns), 4_000_000)
    first = int(times_ns[0] // MINUTE_NS)
    known = np.ones((days * 1_440, 1))
    sides = directions_of("random", Minutes(first, known, known), ("EURUSD",), seed)
    for day in range(days):
        for minute in event_minutes(day):
            at_ns = (MONDAY + day) * DAY_NS + minute * MINUTE_NS + OPEN_S * SECOND_NS
            within = (times_ns >= at_ns) & (times_ns < at_ns + EVENT_NS)
            half_e5[within], units[within] = 15, 300_000
            side = int(sides.at(at_ns + GAP_AFTER_NS)[0])
            mid_e5[times_ns >= at_ns + GAP_AFTER_NS] -= side * GAP_E5
    opens_s = [(1 + day) * 86_400 + OPEN_S for day in range(days)]
    hours = [(open_s, open_s + OPEN_MINUTES * 60) for open_s in opens_s]
    return (source_of(MarketPath(times_ns, mid_e5, half_e5, units), hours),)


class Silent:
    """Watches, and keeps what it was told."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.kept: list[str] = []
        self.notes: list[str] = []

    def begun(self, runs: int, total_ns: int) -> None: ...

    def found(self, task: Task, lasts_ns: int) -> None:
        self.kept.append(task.name)

    def progressed(self, news: Progressed) -> None:
        if news.is_done:
            self.ran.append(news.task.name)

    def note(self, text: str) -> None:
        self.notes.append(text)


def compared(
    folder: Path,
    opened: Callable[[], Sequence[Source]],
    arms: Sequence[str],
    watch: Silent | None = None,
    conditions: Conditions = FREE,
    **other: Any,
) -> Comparison:
    """Return the comparison of arms on a market by the random direction."""
    config = parse_config(CONFIG, "made", {}, needs_account=False)
    named = arms_named(arms, "composite", (True, True))
    kept = RunFolder(folder, {"market": repr(opened)})
    with kept.locked():
        contest = Contest(config, opened, conditions, kept, named, ("random",), **({"resamples": 300} | other))
        return compare(contest, watch or Silent())
