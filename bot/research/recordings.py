"""Recordings as arrays: the quotes, ladders and trades of a whole file, ready for formulas.

Times are those on which a study may join streams: the receive clock where a recording has one.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bot.sim.recording import column_batches

Columns = dict[str, np.ndarray]

LEVELS = 20
_BATCH_ROWS = 262_144
_BEST, _TRADE = 2, 3


class Quotes(NamedTuple):
    """The best bid and ask after each change, all (N,). Sizes in the recording's own unit; NaN where it has none."""

    time_ns: np.ndarray
    bid: np.ndarray
    bid_size: np.ndarray
    ask: np.ndarray
    ask_size: np.ndarray

    @property
    def mid(self) -> np.ndarray:
        """Mid price; locked and crossed quotes have one too."""
        return np.asarray((self.bid + self.ask) / 2)

    @property
    def spread_bps(self) -> np.ndarray:
        """Quoted relative spread in bps of mid, negative when crossed. Source: models 2.1."""
        return np.asarray(1e4 * (self.ask - self.bid) / self.mid)

    @property
    def imbalance(self) -> np.ndarray:
        """Queue imbalance at the touch, in [-1, 1]. Source: models 5, one level."""
        return np.asarray((self.bid_size - self.ask_size) / (self.bid_size + self.ask_size))

    def chosen(self, rows: np.ndarray | slice) -> "Quotes":
        """Return the quotes of some rows only."""
        return Quotes(*(column[rows] for column in self))


class Ladders(NamedTuple):
    """The best 20 levels after each depth message: `time_ns` (N,), the others (N, 20), best first, NaN: no level."""

    time_ns: np.ndarray
    bid: np.ndarray
    bid_size: np.ndarray
    ask: np.ndarray
    ask_size: np.ndarray

    @property
    def mid(self) -> np.ndarray:
        """Mid price, (N,)."""
        return np.asarray((self.bid[:, 0] + self.ask[:, 0]) / 2)


class Trades(NamedTuple):
    """Market trades, all (N,). `sign` is +1 where the buyer was the aggressor, -1 the seller, 0 unknown."""

    time_ns: np.ndarray
    price: np.ndarray
    size: np.ndarray
    sign: np.ndarray


def load(path: Path, names: set[str]) -> Columns:
    """Return whole columns of a recording. Raises: ValueError naming the file when they cannot be read."""
    batches = list(column_batches(path, names, _BATCH_ROWS))
    if not batches:
        raise ValueError(f"{path} holds no rows")
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def quotes_of_events(columns: Columns) -> Quotes:
    """Return the best-quote stream of an order-book recording, one row a message.

    Source: `l2_*_events` rows of kind 2: a bid and an ask row share a `seq`.
    """
    best = columns["kind"] == _BEST
    return _joined(
        columns["seq"][best],
        columns["ts_recv_ns"][best],
        columns["side"][best],
        columns["price"][best],
        columns["qty"][best],
    )


def quotes_of_sides(columns: Columns) -> Quotes:
    """Return the quotes of a best-quote recording: of rows with one stamp the last of a side counts.

    Locked and crossed quotes are left out, as in the study that the anchors come from: the venues of a consolidated
    quote do not change at once.
    Source: `l1_*_quotes`: side 0 bid, 1 ask; size in shares.
    """
    quotes = _joined(columns["ts_us"], columns["ts_us"] * 1_000, columns["side"], columns["px"], columns["size"])
    return quotes.chosen(quotes.ask > quotes.bid)


def quotes_of_ticks(columns: Columns) -> Quotes:
    """Return the quotes of a tick recording, as recorded; there are no sizes. Source: `fx_*`: ts_us, bid, ask."""
    nothing = np.full(len(columns["ts_us"]), np.nan)
    return Quotes(columns["ts_us"] * 1_000, columns["bid"], nothing, columns["ask"], nothing)


def ladders_of_snapshots(columns: Columns) -> Ladders:
    """Return the ladders of a snapshot recording. Source: `l2_*_book20`: bp0..19, bq0..19, ap0..19, aq0..19."""

    def levels(name: str) -> np.ndarray:
        return np.stack([columns[f"{name}{level}"] for level in range(LEVELS)], axis=1).astype(np.float64)

    return Ladders(columns["ts_recv_ns"], levels("bp"), levels("bq"), levels("ap"), levels("aq"))


def trades_of_events(columns: Columns) -> Trades:
    """Return the trades of an order-book recording. Source: `l2_*_events` rows of kind 3; side 0: the buyer took."""
    of_trade = columns["kind"] == _TRADE
    sign = np.where(columns["side"][of_trade] == 0, 1, -1)
    return Trades(columns["ts_recv_ns"][of_trade], columns["price"][of_trade], columns["qty"][of_trade], sign)


def trades_of_prints(columns: Columns, quotes: Quotes) -> Trades:
    """Return the trades of a recording without an aggressor flag, signed by the mid that stood just before.

    Suspicious rows are left out; a trade at mid has sign 0.
    Source: `l1_*_trades`; Lee and Ready (1991), quote rule without their delay and without the tick test.
    """
    good = columns["suspicious"] == 0
    time_ns, price = columns["ts_us"][good] * 1_000, columns["px"][good]
    before = np.maximum(np.searchsorted(quotes.time_ns, time_ns, side="left") - 1, 0)
    sign = np.sign(price - quotes.mid[before]).astype(np.int64)
    return Trades(time_ns, price, columns["size"][good].astype(np.float64), sign)


EVENT_COLUMNS = {"seq", "ts_recv_ns", "kind", "side", "price", "qty"}
SNAPSHOT_COLUMNS = {
    "ts_recv_ns",
    *(f"{side}{what}{level}" for side in "ba" for what in "pq" for level in range(LEVELS)),
}
TICK_COLUMNS = {"ts_us", "bid", "ask"}
SIDE_COLUMNS = {"ts_us", "side", "px", "size"}
PRINT_COLUMNS = {"ts_us", "px", "size", "suspicious"}


def _joined(message: np.ndarray, time_ns: np.ndarray, side: np.ndarray, price: np.ndarray, size: np.ndarray) -> Quotes:
    """Join rows of one side each: one quote a message, the side that it does not tell stands as before."""
    ends = np.append(np.flatnonzero(np.diff(message)), len(message) - 1)
    sides = []
    for wanted in (0, 1):
        # The newest row of this side up to each message's end; -1 while there is none.
        newest = np.maximum.accumulate(np.where(side == wanted, np.arange(len(side)), -1))[ends]
        sides.append((newest, price[newest], size[newest].astype(np.float64)))
    (bid_row, bid, bid_size), (ask_row, ask, ask_size) = sides
    known = (bid_row >= 0) & (ask_row >= 0)
    return Quotes(*(column[known] for column in (time_ns[ends], bid, bid_size, ask, ask_size)))
