"""The official SDK as its users use it: its protocol cuts and parses frames, a callback extracts the payload.

How it works: `TcpProtocol` gets the bytes as Twisted would hand them over, and gives each envelope to its factory. The
callback is what a user writes: `Protobuf.extract`, a dict of quotes a side and symbol, and the imbalance of the five
best. It uses that a price has one quote in this stream, so it need not add quotes up: that is in its favour.
"""

import argparse
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench_peers.timing import cut_frames, pin_to_one_core, repeat, tell, write_figures

warnings.filterwarnings("ignore")

from ctrader_open_api import Protobuf, TcpProtocol  # noqa: E402
from google.protobuf.internal import api_implementation  # noqa: E402


class _Factory:
    """Stands where the SDK's client stands, and does what that does with a message nobody waits for."""

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self.received = callback


def imbalance(bids: dict[int, tuple[int, int]], asks: dict[int, tuple[int, int]]) -> float:
    bid = sum(size for _, size in sorted(bids.values(), reverse=True)[:5])
    ask = sum(size for _, size in sorted(asks.values())[:5])
    return (bid - ask) / (bid + ask)


class DictBooks:
    """Books of every symbol as dicts: quote id to (price, size)."""

    def __init__(self) -> None:
        self.depth_type = Protobuf.get_type("ProtoOADepthEvent")
        self.books: dict[int, tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]] = {}
        self.spots: dict[int, list[int]] = {}
        self.imbalances: list[float] = []

    def take(self, message: Any) -> None:
        event = Protobuf.extract(message)
        if message.payloadType != self.depth_type:
            spot = self.spots.setdefault(event.symbolId, [0, 0])
            if event.HasField("bid"):
                spot[0] = event.bid
            if event.HasField("ask"):
                spot[1] = event.ask
            return
        bids, asks = self.books.setdefault(event.symbolId, ({}, {}))
        for quote_id in event.deletedQuotes:
            if bids.pop(quote_id, None) is None:
                asks.pop(quote_id, None)
        for quote in event.newQuotes:
            if quote.HasField("bid"):
                bids[quote.id] = (quote.bid, quote.size)
            else:
                asks[quote.id] = (quote.ask, quote.size)
        self.imbalances.append(imbalance(bids, asks))


def feeder(deliveries: list[bytes], callback: Callable[[Any], None]) -> Callable[[], None]:
    protocol = TcpProtocol()
    protocol.factory = _Factory(callback)

    def run() -> None:
        for data in deliveries:
            protocol.dataReceived(data)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    wanted = parser.parse_args()
    pin_to_one_core()
    deliveries = cut_frames(wanted.frames.read_bytes(), 1)
    books = DictBooks()

    def fresh_books() -> Callable[[], None]:
        nonlocal books
        books = DictBooks()
        return feeder(deliveries, books.take)

    rows = {
        "decode": repeat(lambda: feeder(deliveries, Protobuf.extract), len(deliveries), wanted.repetitions),
        "book": repeat(fresh_books, len(deliveries), wanted.repetitions),
    }
    write_figures(wanted.figures, books.imbalances)
    versions = {name: version(name) for name in ("ctrader_open_api", "protobuf", "Twisted")}
    tell(rows, versions | {"protobuf runtime": api_implementation.Type()})


if __name__ == "__main__":
    main()
