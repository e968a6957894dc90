"""What is in a segment, in figures: counted while it is written, or from the file; either way the same.

A gap is a span without a session that is READY: the start of a run, lost connections, and the time between two runs.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from bot.journal.format import JournalError, Record, RecordKind, decode_batch, decode_json
from bot.journal.run_reader import CLOSED, OPENED, is_edge, open_segment
from bot.journal.segments import Segment

STARTING, NO_RUN = "starting", "no run"
# Within an encoded Decision. Inside a JSON string its quotation marks would be escaped.
_STATE = b'"state":{"ready":'

End = Literal["rotated", "clean", "killed", "recording"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A span without market data. Units: UTC nanoseconds. `reason` is why, in the engine's codes."""

    from_ns: int
    to_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """One line of an index: a segment's file and what is in it.

    `records` are those of the run, without header and notes at the edges. `state` says where the file is: `kept`,
    `removed` (the disk budget), or `missing`. `damage` is the error that reading it ended in.
    Units: bytes of the file as it lies there, and of the journal in it, of which `torn_bytes` are a torn last record.
    Missing: times are None while nothing is recorded.
    """

    run_id: str
    segment: int
    file: str
    file_bytes: int
    journal_bytes: int
    from_ns: int | None
    to_ns: int | None
    records: int
    frames: int
    symbols: tuple[str, ...]
    account_id: int | None
    environment: str | None
    end: End
    torn_bytes: int = 0
    gaps: tuple[Gap, ...] = ()
    state: Literal["kept", "removed", "missing"] = "kept"
    damage: str | None = None

    def encode(self) -> str:
        """Return the line as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)


def decode_line(text: str) -> SegmentLine:
    """Return the line of an index. Raises: ValueError for one that no index has."""
    try:
        content = json.loads(text)
        if set(content) != {each.name for each in fields(SegmentLine)}:
            raise ValueError("other keys")
        content |= {"gaps": tuple(Gap(**gap) for gap in content["gaps"]), "symbols": tuple(content["symbols"])}
        return SegmentLine(**content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"not a line of an index: {error}") from None


@dataclass(slots=True)
class SegmentFigures:
    """Counts one segment. `why_not` is why the session is not READY, None while it is."""

    why_not: str | None = STARTING
    records: int = 0
    frames: int = 0
    from_ns: int | None = None
    to_ns: int | None = None
    _gap_from_ns: int | None = None
    _gaps: list[Gap] = field(default_factory=list)

    def begin(self, ns: int) -> None:
        """Take the moment at which an earlier segment was left."""
        self.from_ns = self.to_ns = ns
        self._gap_from_ns = None if self.why_not is None else ns

    def count(self, ns: int) -> None:
        """Take a record of any kind."""
        if self.from_ns is None:
            self.begin(ns)
        self.records += 1
        self.to_ns = ns

    def decided(self, ns: int, decision: bytes) -> None:
        """Take a Decision: it may say that the session is READY, or no longer."""
        self.count(ns)
        at = decision.find(_STATE)
        if at < 0:
            return
        if decision.startswith(b"true", at + len(_STATE)):
            if self.why_not is not None and self._gap_from_ns is not None:
                self._gaps.append(Gap(self._gap_from_ns, ns, self.why_not))
            self.why_not = self._gap_from_ns = None
        elif self.why_not is None:
            self.why_not, self._gap_from_ns = _reasons(decision[at + len(_STATE) - len(b'{"ready":') :]), ns

    def gaps(self) -> tuple[Gap, ...]:
        """Return the gaps until now, the one that lasts included."""
        if self._gap_from_ns is None or self.to_ns is None or self.why_not is None:
            return tuple(self._gaps)
        return (*self._gaps, Gap(self._gap_from_ns, self.to_ns, self.why_not))

    def line(self, header: dict[str, Any], file: str, file_bytes: int, journal_bytes: int, end: End) -> SegmentLine:
        """Return the segment's line; its run and number are those of its header."""
        config = header.get("config")
        config = config if isinstance(config, dict) else {}
        return SegmentLine(
            run_id=str(header.get("run_id")),
            segment=int(header.get("segment", 1)),
            file=file,
            file_bytes=file_bytes,
            journal_bytes=journal_bytes,
            from_ns=self.from_ns,
            to_ns=self.to_ns,
            records=self.records,
            frames=self.frames,
            symbols=tuple(map(str, header.get("symbols") or ())),
            account_id=(config.get("account") or {}).get("id"),
            environment=(config.get("venue") or {}).get("environment"),
            end=end,
            gaps=self.gaps(),
        )


def _reasons(state: bytes) -> str:
    try:
        reasons = json.JSONDecoder().raw_decode(state.decode())[0]["reasons"]
        return ",".join(map(str, reasons)) or "unknown"
    except (ValueError, KeyError, TypeError):
        return "unknown"


def scan(segment: Segment, *, is_live: bool = False) -> SegmentLine:
    """Return a segment's line from its file. Args: `is_live`: somebody is writing it, so that its end is no end.

    What is damaged is counted up to there, and its line says so.
    Raises: JournalError when the file cannot be opened, or is no journal.
    """
    figures, damage = SegmentFigures(), None
    is_closed = False
    with open_segment(segment) as reader:
        try:
            for record in reader:
                is_closed = _take(figures, record)
        except JournalError as error:
            damage = str(error)
        end: End = "clean" if reader.ended_cleanly else "rotated" if is_closed else "killed"
        if is_live and end == "killed":
            end = "recording"
        # A file may be called otherwise than its run: an index goes by names.
        header = reader.header | {"run_id": segment.run_id, "segment": segment.number}
        line = figures.line(header, reader.path.name, reader.path.stat().st_size, reader.length, end)
        torn = 0 if reader.truncated_at is None else reader.length - reader.truncated_at
    return replace(line, torn_bytes=torn, damage=damage)


def unreadable(segment: Segment, damage: str) -> SegmentLine:
    """Return the line of a file that is no journal, or none that can be opened. Raises: OSError when it is gone."""
    size, header = segment.path.stat().st_size, {"run_id": segment.run_id, "segment": segment.number}
    line = SegmentFigures().line(header, segment.path.name, size, 0, "killed")
    return replace(line, damage=damage)


def _take(figures: SegmentFigures, record: Record) -> bool:
    """Count a record; tell whether it says that its segment is closed."""
    if is_edge(record):
        note = decode_json(record.payload)
        if OPENED in note:
            figures.why_not = None if note.get("ready") else str(note.get("why_not") or "unknown")
            figures.begin(record.ns)
        else:
            figures.to_ns = record.ns
        return CLOSED in note
    if record.kind is RecordKind.DECISION:
        figures.decided(record.ns, record.payload)
        return False
    figures.count(record.ns)
    if record.kind is RecordKind.BATCH:
        figures.frames += len(decode_batch(record.payload))
    return False
