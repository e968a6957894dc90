"""A recorded run as a backtest without a venue: recorded fills, no latency, and market data as a backtest has them.

How it works: whatever the journal holds happens again at its time. Batches of nothing but plain market data do not go
through the session: a second one turns them into rows, and these are poured into the engine's sink, as those of a
recording are. So the road that is a backtest's own is compared with the one that was live, Decision by Decision.
"""

from collections.abc import Callable, Iterable

import numpy as np

from bot.ctrader.pipeline import Pipeline
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.journal.format import Record, RecordKind, decode_batch, decode_json
from bot.journal.inputs import decode_inputs
from bot.research.backtest.messages import Messages
from bot.research.backtest.venue_books import pour_messages
from bot.research.recorded_market import RecordedMarket


class RecordedRun:
    """Plays a journal. `poured` counts the batches that took the backtest's road."""

    def __init__(
        self, engine: Engine, pipeline: Pipeline[Decision], beside: Session, on_decision: Callable[[Decision], None]
    ) -> None:
        self._engine, self._pipeline, self._on_decision = engine, pipeline, on_decision
        self._market = RecordedMarket(beside)
        self.poured = 0

    def run(self, records: Iterable[Record]) -> None:
        """Play every record. Raises: JournalError for one that cannot be read."""
        for record in records:
            heard = self._market.play(record)
            decision = self._play(record, heard)
            if decision is not None:
                self._pipeline.data_to_send()  # nobody to send it to
                self._on_decision(decision)

    def _play(self, record: Record, heard: list[tuple[int, np.ndarray]]) -> Decision | None:
        ns, pipeline, sink = record.ns, self._pipeline, self._engine.sink
        match record.kind:
            case RecordKind.LINK:
                link = decode_json(record.payload)
                return pipeline.link_up(ns) if link.get("up") else pipeline.link_down(ns, str(link.get("reason")))
            case RecordKind.BATCH if heard and self._market.is_plain and sink is not None:
                rows = np.concatenate([rows for _, rows in heard])
                rows.flags.writeable = False
                pour_messages(sink, Messages(np.array([ns]), np.array([len(rows)]), rows), 0, 1)
                self.poured += 1
                return pipeline.rows(ns, heard=ns)
            case RecordKind.BATCH:
                return pipeline.batch(decode_batch(record.payload), ns)
            case RecordKind.TIMER:
                return pipeline.timer(ns)
            case RecordKind.INPUT:
                return pipeline.inject(decode_inputs(record.payload), ns)
        return None
