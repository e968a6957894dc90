"""The market that a recorded run heard: the frames of its journal as delta rows, with the times they came.

How it works: the first login goes through a session of its own, whose requests go nowhere and whose engine only
listens, so that symbols are learnt by the same code as live. What comes behind it is read frame by frame
(`recorded_frames`), and so is a recording whose beginning is gone: its first file says how the market stood.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from bot.ctrader.pipeline import Pipeline
from bot.ctrader.session import Session
from bot.engine.events import Event, SymbolsLoaded
from bot.engine.standing_market import read_standing
from bot.execution.requests import Request
from bot.journal.format import JournalError, Record, RecordKind, decode_batch, decode_json
from bot.journal.inputs import decode_inputs
from bot.market.symbols import SymbolSpec
from bot.research.recorded_frames import RecordedFrames
from bot.research.streams import Batch

_NEVER_NS = 2**62
Standing = tuple[int, dict[str, Any]]
"""When a recording's first file was begun, and the market as it stood: `RunReader.standing`."""


class _Nothing:
    """What a listener decides."""

    requests: tuple[Request, ...] = ()


class _Listener:
    """Stands where an engine would, and waits for the symbols."""

    sink = None

    def __init__(self) -> None:
        self.loaded: SymbolsLoaded | None = None

    def receive(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, SymbolsLoaded):
            self.loaded = event

    def decide(self, now_ns: int) -> _Nothing:  # noqa: ARG002
        """Ask for nothing."""
        return _Nothing()

    def next_timeout_ns(self) -> int:
        """Never."""
        return _NEVER_NS


class RecordedMarket:
    """Plays the records of a run.

    Args: `session` built from the run's header; `standing` of a recording whose beginning is gone.
    Raises: JournalError where that says nothing of symbols.
    """

    def __init__(self, session: Session, standing: Standing | None = None) -> None:
        self.symbols: tuple[SymbolSpec, ...] = ()
        """As they were loaded first; empty until then."""
        self._session, self._listener = session, _Listener()
        self._pipeline: Pipeline[_Nothing] = Pipeline(session, self._listener, orders_to_venue=False)
        self._frames: RecordedFrames | None = None
        self._stood: list[Batch] = []
        if standing is not None:
            self._begin_standing(*standing)

    def play(self, record: Record) -> list[Batch]:
        """Return what a record says of the market.

        Raises: JournalError for a record that cannot be read.
        """
        stood, self._stood = [(record.ns, rows) for _, rows in self._stood], []
        if self._frames is None:
            self._log_in(record)
            return []
        return stood + self._read(self._frames, record)

    @property
    def is_plain(self) -> bool:
        """Whether the last batch held market data in its plain form and nothing else."""
        return self._frames is not None and self._frames.is_plain

    def _begin_standing(self, ns: int, content: dict[str, Any]) -> None:
        try:
            market = read_standing(content, ns)
        except ValueError as error:
            raise JournalError(str(error)) from None
        if market.loaded is None:
            raise JournalError("the recording begins before its symbols were known, and without the login")
        self.symbols = market.loaded.symbols
        self._frames = RecordedFrames(market.loaded, self._session.plan.account_id, is_ready=market.is_ready)
        if len(market.rows):
            self._stood = [(ns, market.rows)]

    def _log_in(self, record: Record) -> None:
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
        pipeline.data_to_send()  # nobody to send it to
        if self._listener.loaded is not None:
            self.symbols = self._listener.loaded.symbols
            self._frames = RecordedFrames(self._listener.loaded, self._session.account_id, is_ready=False)

    @staticmethod
    def _read(frames: RecordedFrames, record: Record) -> list[Batch]:
        match record.kind:
            case RecordKind.BATCH:
                return frames.batch(decode_batch(record.payload), record.ns)
            case RecordKind.LINK if not decode_json(record.payload).get("up"):
                return frames.lost(record.ns)
            case RecordKind.DECISION:
                frames.decided(record.payload)
        return []


def symbols_of(records: Iterable[Record], session: Session, standing: Standing | None = None) -> tuple[SymbolSpec, ...]:
    """Return the symbols that a run loaded first.

    Raises: JournalError for a run that never came so far.
    """
    market = RecordedMarket(session, standing)
    if market.symbols:
        return market.symbols
    for record in records:
        market.play(record)
        if market.symbols:
            return market.symbols
    raise JournalError("the run never loaded its symbols: there is no market in it")


def market_batches(
    records: Iterable[Record],
    session: Session,
    symbol: str,
    place: int,
    from_ns: int = 0,
    standing: Standing | None = None,
) -> Iterator[Batch]:
    """Yield the batches of one symbol, those before `from_ns` too: a book is followed from its beginning.

    Args: `place` the symbol's index in the evaluator's arrays.
    """
    market = RecordedMarket(session, standing)
    index = -1
    for record in records:
        for recv_ns, rows in market.play(record):
            if index < 0:
                index = next(i for i, spec in enumerate(market.symbols) if spec.name == symbol)
            own = rows[rows["symbol"] == index]
            if len(own):
                own["symbol"] = place
                yield max(recv_ns, from_ns), own
