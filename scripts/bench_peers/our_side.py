"""Our side of the bench: the stream through our decoder, books, features and leverage, by the seams that users have.

How it works: the session is one that the embedded venue has brought to READY, then fed with the stream's frames. The
books stand in an evaluator of their own, so that the venue's market and the stream do not mix. "Leverage" is direction
x base leverage x the product of the strategy's factors, for every symbol, after every batch.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numba import cfunc, njit

import strategies
from bench_peers.latency import decision_rows, ledger_rows
from bench_peers.ready_bot import ready_bot, trading_config
from bench_peers.stream import ADD, ASK, DELETE, RESIZE
from bench_peers.timing import cut_frames, pin_to_one_core, repeat, tell, write_figures
from bot.app import warm_up
from bot.ctrader.framing import FrameReader
from bot.engine.events import MarketDataChanged
from bot.market import book
from bot.market.delta import DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, delta_rows
from bot.market.delta_sink import SINK_SIGNATURE, DeltaSink
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.memory import address, carray, pointer
from bot.market.state import STATE
from bot.sim.listing import default_symbols

FRAMES_A_BATCH = (1, 16, 64)
STRATEGY = "composite"  # it reads more features than any other
_BASE_LEVERAGE = 5.0
_FRAME_NS = 1_000_000  # between two frames, however many come at once: the clocks have as much to do in every row
# What a session counts when it does not use a frame, or a part of it.
_LEFT_OUT = ("malformed", "unknown_types", "unexpected", "market_data_ignored", "unknown_symbols", "bad_quotes")


_PRODUCT = np.dtype(
    [(name, np.int64) for name in ("factors", "factor_count", "wanted", "state", "leverage", "symbols")]
)


@njit
def multiply(place: int) -> None:
    """Multiply the base with the factors of every symbol, and take the marks of what has changed off."""
    c = carray(pointer(place), (1,), _PRODUCT)[0]
    factors = carray(pointer(c.factors), (c.factor_count, c.symbols), np.float64)
    wanted = carray(pointer(c.wanted), (c.symbols,), np.float64)
    leverage = carray(pointer(c.leverage), (c.symbols,), np.float64)
    state = carray(pointer(c.state), (c.symbols,), STATE)
    for s in range(c.symbols):
        product = wanted[s]
        for f in range(c.factor_count):
            product *= factors[f, s]
        leverage[s] = product
        state[s].changed = 0


class Market:
    """Books, features and leverage of the stream's symbols."""

    def __init__(self) -> None:
        specs = default_symbols()
        self.evaluator = Evaluator(np.array([spec.pip for spec in specs]), EvaluatorSettings())
        # A tenth of what the stream's touch holds on average, and all that it holds: the walks reach into the book.
        least = np.array([spec.lot_size_cents / 100 for spec in specs])
        self.evaluator.set_reference_units(2.5 * least, 25.0 * least)
        self.evaluator.enter_bin(0, 0)
        self._wanted = np.full(len(specs), _BASE_LEVERAGE)
        self._strategy = strategies.load(STRATEGY, {}).bound(specs, self._wanted)
        self._side = np.ones(len(specs))
        self.leverage = self._wanted.copy()
        factors = self._strategy.factors(self.evaluator.table, self._side)
        self._product = np.array(
            [
                (
                    *(address(factors), len(factors), address(self._wanted)),
                    *(address(self.evaluator.state), address(self.leverage), len(specs)),
                )
            ],
            _PRODUCT,
        )
        self._product_at, self._held = address(self._product), factors  # held, so that its address stays good
        self._factors, self._table = self._strategy.factors, self.evaluator.table

    def weigh(self) -> None:
        """Find the leverage of every symbol by the strategy's factors, which come in the same array each time."""
        self._factors(self._table, self._side)
        multiply(self._product_at)

    def imbalance(self, symbol: int) -> float:
        """Return the imbalance of the five best levels of a symbol's book."""
        bid, ask = (int(book.levels(self.evaluator.books, side, symbol)[1][:5].sum()) for side in (book.BID, book.ASK))
        return (bid - ask) / (bid + ask)


@cfunc(SINK_SIGNATURE)
def _drop(_context: int, _rows: int, count: int, _now_ns: int) -> int:
    return count


DROP = DeltaSink.of(_drop, np.empty(0), lambda _rows, _now_ns: None)


class Wire:
    """A READY session and a frame reader: bytes of the stream to books, or to nothing."""

    def __init__(self) -> None:
        self._bot = ready_bot(trading_config())
        self._session, self._reader, self._now_ns = self._bot.run.session, FrameReader(), self._bot.now_ns
        self._session.events()

    def deliver(self, data: bytes, evaluator: Evaluator) -> int:
        """Take a read of the socket as `Pipeline.batch` and the engine do; return the time of it."""
        frames, session = self._reader.receive(data), self._session
        self._now_ns = now_ns = self._now_ns + len(frames) * _FRAME_NS
        if not session.pour(frames, now_ns, evaluator.sink):
            session.receive_frames(frames, now_ns)
            for event in session.events():
                assert isinstance(event, MarketDataChanged)
                evaluator.apply(event.rows, event.recv_ns)
        return now_ns

    def decode(self, data: bytes) -> None:
        """Read frames for a sink that drops the rows."""
        self._session.pour(self._reader.receive(data), self._now_ns, DROP)

    def check(self, frames: int) -> None:
        """Raise unless the session has understood all it was given."""
        counters = self._session.counters
        bad = {name: counters[name] for name in _LEFT_OUT if counters[name]}
        assert not bad, f"the session has left something out: {bad}"
        assert counters["messages"] >= frames, f"the session has read {counters['messages']} of {frames} frames"


def decoding(wire: Wire, deliveries: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        for data in deliveries:
            wire.decode(data)

    return run


def whole_path(wire: Wire, deliveries: list[bytes]) -> Callable[[], None]:
    market = Market()

    deliver, weigh, evaluator = wire.deliver, market.weigh, market.evaluator

    def run() -> None:
        for data in deliveries:
            deliver(data, evaluator)
            weigh()

    return run


def decoded_rows(changes: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each depth event, as the decoder makes them of it."""
    kinds = {ADD: (DEPTH_BID, DEPTH_ASK), RESIZE: (DEPTH_BID, DEPTH_ASK), DELETE: (DEPTH_DELETE, DEPTH_DELETE)}
    messages, rows = [], []
    for change, following in zip(changes.tolist(), [*changes["event"][1:].tolist(), -1], strict=True):
        event, symbol, action, side, quote_id, price_e5, size_cents = change
        price_e5 = 0 if action == DELETE else price_e5
        rows.append((kinds[action][int(side == ASK)], symbol, quote_id, price_e5, size_cents))
        if event != following:
            messages.append(delta_rows([*rows, (END_DEPTH, symbol, 0, 0, 0)]))
            rows = []
    return messages


def books_only(batches: list[np.ndarray], events_each: int) -> Callable[[], None]:
    market = Market()

    def run() -> None:
        for number, rows in enumerate(batches):
            market.evaluator.apply(rows, (number + 1) * events_each * _FRAME_NS)
            market.evaluator.changed[:] = 0

    return run


def imbalances(wire: Wire, deliveries: list[bytes]) -> Iterator[float]:
    """Yield the imbalance after each depth event, from the bytes on."""
    market = Market()
    depth_ns = market.evaluator.state["depth_ns"]
    for data in deliveries:
        now_ns = wire.deliver(data, market.evaluator)
        for symbol in np.flatnonzero(depth_ns == now_ns):
            yield market.imbalance(int(symbol))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--changes", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the ledger is written")
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--decisions", type=int, required=True, help="trading decisions to time; 0 for none")
    wanted = parser.parse_args()
    pin_to_one_core()
    warm_up()
    data, wire = wanted.frames.read_bytes(), Wire()
    each = {frames: cut_frames(data, frames) for frames in FRAMES_A_BATCH}
    messages = decoded_rows(np.load(wanted.changes))
    together = [np.concatenate(messages[i : i + 64]) for i in range(0, len(messages), 64)]
    count, depth_count, times = len(each[1]), len(messages), wanted.repetitions
    rows = {"decode": repeat(lambda: decoding(wire, each[1]), count, times)}
    for frames, deliveries in each.items():
        rows[f"whole_{frames}"] = repeat(lambda d=deliveries: whole_path(wire, d), count, times)  # type: ignore[misc]
    rows["rows_1"] = repeat(lambda: books_only(messages, 1), depth_count, times)
    rows["rows_64"] = repeat(lambda: books_only(together, 64), depth_count, times)
    wire.check(count)
    write_figures(wanted.figures, imbalances(wire, each[1]))
    latencies: dict[str, list[float]] = {}
    if wanted.decisions:
        latencies = decision_rows(wanted.decisions) | ledger_rows(wanted.folder, wanted.decisions)
    versions = {"Python": platform.python_version()} | {n: version(n) for n in ("numpy", "numba", "protobuf")}
    tell(rows, versions, latencies=latencies)


if __name__ == "__main__":
    main()
