"""Replay: decide a recorded run again from its journal, and compare every Decision bit for bit."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from bot.ctrader.pipeline import Pipeline
from bot.engine.decision import Decision, describe
from bot.journal.format import JournalError, RecordKind, decode_batch, decode_json
from bot.journal.inputs import decode_inputs
from bot.journal.reader import JournalReader
from bot.journal.run_reader import RunReader

# Each input is followed by its decision: none of these may come in between. A run that died may lack the last one.
_AFTER_A_DECISION = (RecordKind.LINK, RecordKind.BATCH, RecordKind.TIMER, RecordKind.INPUT, RecordKind.END)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first Decision that came out otherwise. `at_ns` when; `what` the first field, recorded against replayed."""

    at_ns: int
    number: int
    what: str


class HowFar(NamedTuple):
    """How far a replay has come. Units: `bytes_read` and `bytes_total` of the journal."""

    records: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay found. `truncated_at` is the byte where a torn last record begins, None for a whole file."""

    decisions: int
    frames: int
    inputs: int
    difference: Difference | None
    truncated_at: int | None
    clean_stop: bool


def replay(
    reader: JournalReader | RunReader,
    pipeline: Pipeline[Decision],
    on_decision: Callable[[Decision], None] = lambda decision: None,
    on_progress: Callable[[HowFar], None] = lambda how_far: None,
    *,
    to_the_end: bool = False,
) -> ReplayResult:
    """Feed a journal's inputs through a pipeline and compare what it decides with what was decided.

    Args: `pipeline` built from the journal's own header; `on_decision` sees each Decision; `on_progress` is called now
        and then; `to_the_end` decides on behind a difference, for those who want the market and not the comparison.
    Raises: JournalError for a journal that is corrupt or out of order.
    """
    waiting: Decision | None = None
    decisions = frames = inputs = records = 0
    difference: Difference | None = None
    kept, total = iter(reader), reader.bytes_total
    for record in kept:
        records += 1
        if records % 1000 == 0:
            on_progress(HowFar(records, reader.bytes_read, total))
        if record.kind is RecordKind.DECISION:
            if waiting is None:
                raise JournalError(
                    f"decision {decisions + 1} at {record.ns} ns follows no input: not a journal of a run"
                )
            decisions += 1
            encoded = waiting.encode()
            if encoded != record.payload and difference is None:
                difference = Difference(record.ns, decisions, _difference(record.payload, encoded))
                if not to_the_end:
                    break
            waiting = None
            continue
        if waiting is not None and record.kind in _AFTER_A_DECISION:
            what = f"the recording has no decision for the input before its {record.kind.name} record"
            difference = difference or Difference(record.ns, decisions + 1, what)
            if not to_the_end:
                break
        match record.kind:
            case RecordKind.LINK:
                link = decode_json(record.payload)
                if link.get("up"):
                    waiting = pipeline.link_up(record.ns)
                else:
                    waiting = pipeline.link_down(record.ns, str(link.get("reason")))
            case RecordKind.BATCH:
                batch = decode_batch(record.payload)
                frames += len(batch)
                waiting = pipeline.batch(batch, record.ns)
            case RecordKind.TIMER:
                waiting = pipeline.timer(record.ns)
            case RecordKind.INPUT:
                waiting = pipeline.inject(decode_inputs(record.payload), record.ns)
            case _:
                continue
        pipeline.data_to_send()  # nobody to send it to
        inputs += 1
        on_decision(waiting)
    for _ in kept:
        pass  # behind a difference: only the end tells how the run stopped
    return ReplayResult(decisions, frames, inputs, difference, reader.truncated_at, reader.ended_cleanly)


def _difference(recorded: bytes, replayed: bytes) -> str:
    try:
        described = describe(recorded)
    except (ValueError, struct.error) as error:
        return f"the recorded decision of {len(recorded)} bytes cannot be read: {error}"
    return _first_difference(described, describe(replayed))


def _first_difference(recorded: Any, replayed: Any, path: str = "") -> str:
    """Return the first place where two descriptions differ, with both values."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in (*recorded, *(k for k in replayed if k not in recorded)):
            if key not in recorded or key not in replayed:
                side = "replay" if key not in recorded else "recording"
                return f"{path}{key} is only in the {side}"
            if not _same(recorded[key], replayed[key]):
                return _first_difference(recorded[key], replayed[key], f"{path}{key}.")
    if isinstance(recorded, list) and isinstance(replayed, list):
        if len(recorded) != len(replayed):
            return f"{path.rstrip('.')} has {len(recorded)} entries in the recording and {len(replayed)} in the replay"
        for i, (left, right) in enumerate(zip(recorded, replayed, strict=True)):
            if not _same(left, right):
                return _first_difference(left, right, f"{path}{i}.")
    return f"{path.rstrip('.') or 'the bytes'}: recorded {recorded!r}, replayed {replayed!r}"


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) or repr(left) == repr(right)  # NaN equals itself here
