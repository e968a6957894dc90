"""How much volume rested how far from the mid, second by second, through given minutes of a recording.

How it works: the recording is followed from where its book begins, in compiled pieces; at each step of the minutes that
are wanted the levels are put on a grid of distances from the mid. Nothing before or after them is kept.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bot.market import book
from bot.market.book import ASK, BID
from bot.research.backtest.messages import Messages
from bot.research.backtest.result import Result
from bot.research.backtest.venue_books import VenueBooks
from bot.research.sources import Source

MOST_STEPS = 3_600
"""Columns of one map: an hour of seconds is more than a screen is wide."""
CELLS = 32
_LEAD_NS = 60_000_000_000  # quotes before the first column, so that it is not empty


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """The depth of a symbol. Shapes: `time_ns` (T,); `distance_bps` (G,) middles of cells, bids below 0; `units` (G, T)
    base units resting in a cell; `bid_bps`, `ask_bps` (T,) the best prices.

    `label` says what kind of data it is. Missing: NaN where a side is empty.
    """

    symbol: str
    label: str
    time_ns: np.ndarray
    distance_bps: np.ndarray
    units: np.ndarray
    bid_bps: np.ndarray
    ask_bps: np.ndarray

    @property
    def is_semi_synthetic(self) -> bool:
        """Whether its depth is made up around real quotes."""
        return "semi-synthetic" in self.label


def worst_minutes(
    result: Result, symbol: int = 0, minutes: float = 10.0, count: int = 1, from_ns: int = 0
) -> list[tuple[int, int]]:
    """Return the stretches about the widest spreads of a run, the worst first, none overlapping another. Units: ns.

    Args: `from_ns` is where the days that only taught end: what was before it is not looked at.
    """
    rows = result.clocks[result.clocks["time_ns"] >= from_ns]
    time_ns, spread = rows["time_ns"], np.array(rows["spread_bps"][:, symbol])
    half_ns, found = round(minutes * 30e9), list[tuple[int, int]]()
    while len(found) < count and np.isfinite(spread).any():
        at_ns = int(time_ns[np.nanargmax(spread)])
        found.append((max(at_ns - half_ns, int(time_ns[0])), min(at_ns + half_ns, int(time_ns[-1]) + 1)))
        spread[np.abs(time_ns - at_ns) < 2 * half_ns] = np.nan
    return found


def depth_of_worst_minutes(
    result: Result, sources: Sequence[Source], minutes: float = 10.0, count: int = 1, from_ns: int = 0
) -> list[DepthMap]:
    """Return the depth of each symbol of a run through its worst minutes, as far as its source has any.

    Args: `from_ns` as of `worst_minutes`.
    """
    found = []
    for s, symbol in enumerate(result.symbols):
        source = next((each for each in sources if each.spec.name == symbol), None)
        for stretch in worst_minutes(result, s, minutes, count, from_ns) if source is not None else ():
            with contextlib.suppress(ValueError):  # a market of prices alone has no depth to show
                found.append(depth_map(source, *stretch))  # type: ignore[arg-type]
    return found


def depth_map(source: Source, from_ns: int, until_ns: int, *, step_s: float = 1.0, cells: int = CELLS) -> DepthMap:
    """Return the depth of a source through a stretch of it.

    Raises: ValueError when it has more than `MOST_STEPS` steps, none, or when the source tells nothing in it.
    """
    step_ns = round(step_s * 1e9)
    steps = (until_ns - from_ns) // step_ns
    if not 0 < steps <= MOST_STEPS:
        raise ValueError(
            f"depth of {source.spec.name}: {steps} steps of {step_s:g} s, and a map has 1 to {MOST_STEPS}; "
            "choose fewer minutes or longer steps"
        )
    at_ns = from_ns + step_ns * np.arange(1, steps + 1)
    books = VenueBooks(1)
    columns: list[tuple[np.ndarray, np.ndarray, float, float]] = []
    for piece in source.stream(0, from_ns - _LEAD_NS):
        taken = 0
        ends = np.searchsorted(piece.times_ns, at_ns[len(columns) :], side="left")
        for end in ends[ends < len(piece.times_ns)]:
            _take(books, piece, taken, int(end))
            columns.append(_column(books))
            taken = int(end)
        if len(columns) == steps:
            break
        _take(books, piece, taken, len(piece.times_ns))
    if not any(len(distance) for distance, *_ in columns):
        raise ValueError(f"depth of {source.spec.name}: {source.name} has none between {from_ns} and {until_ns} ns")
    columns += [_NOTHING] * (steps - len(columns))
    return _gridded(source, at_ns - step_ns, columns, cells)


_NOTHING = np.empty(0), np.empty(0), np.nan, np.nan


def _take(books: VenueBooks, piece: Messages, first: int, last: int) -> None:
    while first < last:
        first = books.take(piece, first, last).message


def _column(books: VenueBooks) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return distances from the mid in bps, volumes in base units, and where the best prices are."""
    (bids, bid_cents), (asks, ask_cents) = (book.levels(books.arrays, side, 0) for side in (BID, ASK))
    if not len(bids) or not len(asks):
        return _NOTHING
    mid = (bids[0] + asks[0]) / 2
    prices, cents = np.concatenate([bids, asks]), np.concatenate([bid_cents, ask_cents])
    distance = 1e4 * (prices - mid) / mid
    return distance, cents / 100, float(distance[0]), float(distance[len(bids)])


def _gridded(
    source: Source, time_ns: np.ndarray, columns: list[tuple[np.ndarray, np.ndarray, float, float]], cells: int
) -> DepthMap:
    # The grid is that of an ordinary second, without its far and small levels: what flees beyond it is gone.
    known = [np.abs(distance) for distance, *_ in columns if len(distance)]
    reach = float(np.median([np.quantile(distance, 0.9, method="higher") for distance in known])) * (1 + 1e-9)
    edges = np.linspace(-reach, reach, cells + 1) if reach > 0 else np.linspace(-1, 1, cells + 1)
    units = np.full((cells, len(columns)), np.nan)
    for t, (distance, volume, *_) in enumerate(columns):
        if len(distance):
            units[:, t] = np.histogram(distance, edges, weights=volume)[0]
    best = np.array([(bid, ask) for *_, bid, ask in columns])
    middles = np.array([(low + high) / 2 for low, high in pairwise(edges)])
    return DepthMap(source.spec.name, source.label, time_ns, middles, units, best[:, 0], best[:, 1])
