"""Our own fills of a recorded session, against what a backtest of its market would have given: the error of prediction.

How it works: the run is decided again, which tells when each order was decided, what it was predicted to cost, and what
it cost. Then the recorded market is played, and each order walks the book as it stood when the order must have come
there: half of the time between the decision and the first word about its fill.

Limits: that time is a guess; only market orders are compared, because of one that rests nobody knows its place in the
queue.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bot.ctrader.session import Session
from bot.engine.decision import CountedDeal, Decision
from bot.journal.format import Record
from bot.research.backtest.messages import Messages
from bot.research.backtest.venue_books import VenueBooks
from bot.research.recorded_market import RecordedMarket

_AT_ONCE = ("market", "market_range")


@dataclass(slots=True)
class OwnFill:
    """One order that was filled.

    Units: `units` signed; prices in quote currency; times ns; slippage in bps of the mid at the decision, positive
        against us: `predicted_bps` by the engine when it decided, `walked_bps` by the recorded book at `arrived_ns`.
    Missing: NaN where it is not known.
    """

    client_order_id: str
    symbol: str
    decided_ns: int
    arrived_ns: int
    units: float
    price: float
    decision_mid: float
    realised_bps: float
    predicted_bps: float
    walked_bps: float = math.nan


@dataclass(frozen=True, slots=True)
class PredictionError:
    """Predicted less realised slippage. Units: bps. Missing: NaN without any fill that both know of."""

    fills: int
    mean_bps: float
    deviation_bps: float
    median_absolute_bps: float
    p95_absolute_bps: float


class OwnFills:
    """Collects the fills of a run as it is decided again: give it to the replay, then `walk` the market."""

    def __init__(self) -> None:
        self._decided_ns: dict[str, int] = {}
        self._deals: dict[str, list[tuple[CountedDeal, int]]] = {}

    def see(self, decision: Decision) -> None:
        """Take what was decided."""
        for intended in decision.intended:
            if intended.order_type in _AT_ONCE:
                self._decided_ns[intended.client_order_id] = decision.now_ns
        for counted in decision.deals:
            if counted.cause == "ours" and counted.client_order_id in self._decided_ns:
                self._deals.setdefault(counted.client_order_id, []).append((counted, decision.now_ns))

    def fills(self) -> list[OwnFill]:
        """Return what was filled, by the time it must have come to the venue; nothing has walked a book yet."""
        found = [self._fill(order_id, deals) for order_id, deals in self._deals.items()]
        return sorted(found, key=lambda fill: fill.arrived_ns)

    def _fill(self, order_id: str, deals: Sequence[tuple[CountedDeal, int]]) -> OwnFill:
        first, told_ns = deals[0]
        decided_ns = self._decided_ns[order_id]
        cents = sum(counted.deal.volume_cents for counted, _ in deals)
        price = sum(counted.deal.volume_cents * counted.deal.price for counted, _ in deals) / cents
        mid = math.nan if first.decision_mid is None else first.decision_mid
        side = 1 if cents > 0 else -1
        return OwnFill(
            order_id, first.symbol, decided_ns, decided_ns + (told_ns - decided_ns) // 2, cents / 100, price, mid,
            side * (price - mid) / mid * 1e4, math.nan if first.predicted_bps is None else first.predicted_bps,
        )  # fmt: skip


def walk(fills: Sequence[OwnFill], records: Iterable[Record], session: Session) -> None:
    """Let each fill walk the book that the run was shown when its order must have come to the venue.

    Args: `fills` in the order of their arrival; `session` built from the run's header.
    Raises: JournalError for a record that cannot be read.
    """
    market, books, waiting = RecordedMarket(session), VenueBooks(0), list(reversed(fills))
    names: list[str] = []
    for record in records:
        if not waiting:
            return
        while waiting and waiting[-1].arrived_ns < record.ns:
            _walk(waiting.pop(), books, names)
        for recv_ns, rows in market.play(record):
            if len(market.symbols) != len(names):
                names = [spec.name for spec in market.symbols]
                books = VenueBooks(len(names))
            books.take(Messages(np.array([recv_ns]), np.array([len(rows)]), rows), 0, 1)
    for fill in reversed(waiting):
        _walk(fill, books, names)


def _walk(fill: OwnFill, books: VenueBooks, names: Sequence[str]) -> None:
    if fill.symbol not in names:
        return
    buys = fill.units > 0
    left = wanted = abs(round(fill.units * 100))
    cost = 0
    for price_e5, size in books.levels(names.index(fill.symbol), 1 if buys else 0):
        part = min(left, size)
        cost, left = cost + part * price_e5, left - part
        if not left:
            price = cost / wanted / 1e5
            fill.walked_bps = (1 if buys else -1) * (price - fill.decision_mid) / fill.decision_mid * 1e4
            return


def prediction_error(predicted_bps: Sequence[float], realised_bps: Sequence[float]) -> PredictionError:
    """Return how far predictions were off, over the fills of which both figures are known."""
    errors = np.array(predicted_bps, np.float64) - np.array(realised_bps, np.float64)
    errors = errors[np.isfinite(errors)]
    if not len(errors):
        return PredictionError(0, *(math.nan,) * 4)
    size = np.abs(errors)
    return PredictionError(
        len(errors), float(errors.mean()), float(errors.std()), float(np.median(size)), float(np.quantile(size, 0.95))
    )
