"""The market that a recorded run heard: the frames of its journal as delta rows, with the times they came.

How it works: the frames go through a session of their own, whose requests go nowhere and whose engine only listens. So
they are read by the same code as live, and what a dropped connection takes away is taken away here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bot.ctrader.pipeline import Pipeline
from bot.ctrader.session import Session
from bot.engine.events import Event, MarketDataChanged, ReadinessChanged, SymbolsLoaded
from bot.execution.requests import Request
from bot.journal.format import JournalError, Record, RecordKind, decode_batch, decode_json
from bot.journal.inputs import decode_inputs
from bot.market.delta import CLEAR_BOOK, DELTA
from bot.market.symbols import SymbolSpec
from bot.research.streams import Batch

_NEVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Nothing:
    """What a listener decides."""

    requests: tuple[Request, ...] = ()


class Listener:
    """Stands where an engine would, and keeps what it hears of the market. `symbols` as of the last time they came."""

    sink = None

    def __init__(self) -> None:
        self.symbols: tuple[SymbolSpec, ...] = ()
        self._heard: list[Batch] = []

    def receive(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, MarketDataChanged):
            self._heard.append((event.recv_ns, event.rows))
        elif isinstance(event, SymbolsLoaded):
            self.symbols = event.symbols
        elif isinstance(event, ReadinessChanged) and {"disconnected", "account_disconnected"} & set(event.reasons):
            rows = np.zeros(len(self.symbols), DELTA)
            rows["kind"], rows["symbol"] = CLEAR_BOOK, np.arange(len(rows))
            self._heard.append((event.recv_ns, rows))

    def decide(self, now_ns: int) -> Nothing:  # noqa: ARG002
        """Ask for nothing."""
        return Nothing()

    def next_timeout_ns(self) -> int:
        """Never."""
        return _NEVER_NS

    def take(self) -> list[Batch]:
        """Return what was heard since the last call."""
        heard, self._heard = self._heard, []
        return heard


class RecordedMarket:
    """Plays the records of a run to a session. Args: `session` built from the run's header."""

    def __init__(self, session: Session) -> None:
        self._session, self.listener = session, Listener()
        self._pipeline: Pipeline[Nothing] = Pipeline(session, self.listener, orders_to_venue=False)

    def play(self, record: Record) -> list[Batch]:
        """Return what a record says of the market.

        Raises: JournalError for a record that cannot be read.
        """
        ns, pipeline = record.ns, self._pipeline
        match record.kind:
            case RecordKind.LINK:
                link = decode_json(record.payload)
                if link.get("up"):
                    pipeline.link_up(ns)
                else:
                    pipeline.link_down(ns, str(link.get("reason")))
            case RecordKind.BATCH:
                pipeline.batch(decode_batch(record.payload), ns)
            case RecordKind.TIMER:
                pipeline.timer(ns)
            case RecordKind.INPUT:
                pipeline.inject(decode_inputs(record.payload), ns)
            case _:
                return []
        pipeline.data_to_send()  # nobody to send it to
        return self.listener.take()

    @property
    def is_plain(self) -> bool:
        """Whether the last batch held market data in its plain form and nothing else."""
        return not self._session.loud_frames


def symbols_of(records: Iterable[Record], session: Session) -> tuple[SymbolSpec, ...]:
    """Return the symbols that a run loaded first.

    Raises: JournalError for a run that never came so far.
    """
    market = RecordedMarket(session)
    for record in records:
        market.play(record)
        if market.listener.symbols:
            return market.listener.symbols
    raise JournalError("the run never loaded its symbols: there is no market in it")


def market_batches(
    records: Iterable[Record], session: Session, symbol: str, place: int, from_ns: int = 0
) -> Iterator[Batch]:
    """Yield the batches of one symbol, those before `from_ns` too: a book is followed from its beginning.

    Args: `place` the symbol's index in the evaluator's arrays.
    """
    market = RecordedMarket(session)
    index = -1
    known: tuple[SymbolSpec, ...] = ()
    for record in records:
        for recv_ns, rows in market.play(record):
            if market.listener.symbols is not known:
                known = market.listener.symbols
                index = next((i for i, spec in enumerate(known) if spec.name == symbol), -1)
            own = rows[rows["symbol"] == index]
            if len(own):
                own["symbol"] = place
                yield max(recv_ns, from_ns), own


OpenRun = Callable[[], tuple[Iterable[Record], Session]]
"""Opens a run anew: its records, and a session built from its header."""
