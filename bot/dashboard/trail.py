"""What the page remembers of the snapshots before the newest: figures for trend lines, books for the heat map.

Invariant: memory is bounded, whatever is added: `POINTS_KEPT` moments of `MOST_SYMBOLS` symbols.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

POINTS_KEPT = 1200
MOST_SYMBOLS = 256
MOST_LEVELS = 100
MOST_DIGITS = 15
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of a snapshot that is none of ours: of another version, or of something that only says it is a bot."""
LINES = ("spread_bps", "liquidity_ratio", "obi", "ofi", "impact_bps", "leverage_now")
"""The figures of a symbol that are kept; `impact_bps` is the dearer side's."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One symbol at one time.

    Shapes: `bids`, `asks` flat: price, base units, price, …, best first; `resting` flat: side (+1, -1), price, ….
    Units: `time_ms` since the epoch.   Missing: None; a book that was not sent is empty.
    """

    time_ms: int
    bid: float | None
    ask: float | None
    figures: tuple[float | None, ...]
    bids: "array[float]"
    asks: "array[float]"
    resting: "array[float]"


class Trail:
    """The moments of each symbol, oldest first. `version` grows with every `clear`, `added` with every snapshot."""

    def __init__(self, kept: int = POINTS_KEPT) -> None:
        self._kept = kept
        self._moments: dict[str, deque[Moment]] = {}
        self._counts: dict[str, int] = {}
        self._run: tuple[Any, ...] = ()
        self._time_ms = 0
        self.version = 0
        self.added = 0

    def add(self, snapshot: dict[str, Any]) -> None:
        """Take one snapshot. Another run or an earlier time begins a new trail; the same time is no news.

        Raises: one of `MALFORMED` for one that cannot be drawn; nothing of it is kept.
        """
        run, time_ms = (snapshot.get("account_id"), snapshot.get("run_id")), time_ms_of(snapshot["time"])
        if (self._run and run != self._run) or time_ms < self._time_ms:
            self.clear()
        if self.added and time_ms == self._time_ms:
            return
        orders = [order for order in snapshot.get("orders", ()) if order["resting"] and order["limit_price"]]
        found = {each["symbol"]: _moment(time_ms, each, orders) for each in snapshot.get("symbols", ())}
        if len(found) > MOST_SYMBOLS:
            raise ValueError(f"{len(found)} symbols")
        self._run, self._time_ms = run, time_ms
        self.added += 1
        if len(self._moments.keys() | found.keys()) > MOST_SYMBOLS:
            for name in self._moments.keys() - found.keys():
                del self._moments[name], self._counts[name]
        for name, moment in found.items():
            if name not in self._moments:
                self._moments[name], self._counts[name] = deque(maxlen=self._kept), 0
            self._moments[name].append(moment)
            self._counts[name] += 1

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()
        self._counts.clear()
        self._run, self._time_ms = (), 0
        self.added = 0
        self.version += 1

    def count(self, symbol: str) -> int:
        """Return how many moments of a symbol were added since the trail began, those forgotten included."""
        return self._counts.get(symbol, 0)

    def moments(self, symbol: str, most: int = POINTS_KEPT) -> list[Moment]:
        """Return the newest moments of a symbol, oldest of them first."""
        kept = self._moments.get(symbol, deque())
        return list(islice(kept, max(len(kept) - most, 0), None))

    def line(self, symbol: str, figure: str, most: int = POINTS_KEPT) -> list[float | None]:
        """Return the newest values of one of `LINES`, oldest of them first; None where unknown."""
        i = LINES.index(figure)
        return [moment.figures[i] for moment in self.moments(symbol, most)]


def time_ms_of(iso: str) -> int:
    """Return an ISO time as ms since the epoch."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


def dearer(*costs: float | None) -> float | None:
    """Return the larger of the costs that are known; None when none is."""
    return max((cost for cost in costs if cost is not None), default=None)


def _moment(time_ms: int, each: dict[str, Any], orders: list[dict[str, Any]]) -> Moment:
    if not 0 <= each.get("digits", 0) <= MOST_DIGITS:
        raise ValueError(f"{each['digits']} digits")
    costs = _number(each.get("buy_impact_bps")), _number(each.get("sell_impact_bps"))
    figures = dict(each) | {"impact_bps": dearer(*costs)}
    resting = [
        number
        for order in orders
        if order["symbol"] == each["symbol"]
        for number in (1.0 if order["side"] == "buy" else -1.0, order["limit_price"])
    ]
    return Moment(
        time_ms,
        _number(each.get("bid")),
        _number(each.get("ask")),
        tuple(_number(figures.get(name)) for name in LINES),
        _flat(each.get("bids", ())),
        _flat(each.get("asks", ())),
        array("d", resting),
    )


def _number(given: Any) -> float | None:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int | float)):
        raise TypeError(f"a {type(given).__name__} where a number should be")
    return given


def _flat(levels: Iterable[Iterable[float]]) -> "array[float]":
    flat = array("d", [number for price, size in levels for number in (price, size)])
    if len(flat) > 2 * MOST_LEVELS:
        raise ValueError(f"{len(flat) // 2} levels")
    return flat
