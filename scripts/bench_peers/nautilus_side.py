"""NautilusTrader's order book on deltas that are built already: apply, then one imbalance.

The book is L3, keyed by order id, or L2, keyed by price. It is the one of its compiled core, which answers for the five
best levels several times faster than the class that wraps it for strategies.

Prices and sizes are the stream's integers, so that its fixed-point sums are exact.
"""

import argparse
import itertools
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.core import nautilus_pyo3 as native

from bench_peers.timing import pin_to_one_core, repeat, tell, write_figures

_ACTIONS = (native.BookAction.ADD, native.BookAction.UPDATE, native.BookAction.DELETE)
_SIDES = (native.OrderSide.BUY, native.OrderSide.SELL)
_LAST = 128  # the flag of the last delta of an event


def instrument(symbol: int) -> Any:
    return native.InstrumentId.from_str(f"S{symbol}.BENCH")


def prebuilt(changes: np.ndarray) -> list[tuple[int, Any]]:
    """Return each event as its symbol and its deltas."""
    starts = [0, *(np.flatnonzero(np.diff(changes["event"])) + 1).tolist(), len(changes)]
    events = []
    for start, end in itertools.pairwise(starts):
        deltas = []
        for i in range(start, end):
            _, symbol, action, side, quote_id, price, size = changes[i].tolist()
            order = native.BookOrder(_SIDES[side], native.Price(price, 0), native.Quantity(size, 0), quote_id)
            flags = _LAST if i == end - 1 else 0
            deltas.append(
                native.OrderBookDelta(instrument(symbol), _ACTIONS[action], order, flags, start, start, start)
            )
        events.append((symbol, native.OrderBookDeltas(instrument(symbol), deltas)))
    return events


def imbalance(book: Any) -> float:
    bid = sum(level.size() for level in book.bids(5))
    ask = sum(level.size() for level in book.asks(5))
    return (bid - ask) / (bid + ask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--book", choices=("L2_MBP", "L3_MBO"), default="L3_MBO")
    wanted = parser.parse_args()
    pin_to_one_core()
    changes = np.load(wanted.changes)
    events, symbols = prebuilt(changes), int(changes["symbol"].max()) + 1
    imbalances: list[float] = []
    kind = getattr(native.BookType, wanted.book)

    def fresh() -> Callable[[], None]:
        books = [native.OrderBook(instrument(symbol), kind) for symbol in range(symbols)]
        imbalances.clear()

        def run() -> None:
            for symbol, deltas in events:
                book = books[symbol]
                book.apply_deltas(deltas)
                imbalances.append(imbalance(book))

        return run

    rows = {"deltas": repeat(fresh, len(events), wanted.repetitions)}
    write_figures(wanted.figures, imbalances)
    tell(rows, {"nautilus_trader": version("nautilus_trader")})


if __name__ == "__main__":
    main()
