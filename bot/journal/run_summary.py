"""A recorded run as a whole, from the lines of its index: what `microlev recordings` lists."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bot.journal.day_report import iso_time
from bot.journal.segment_figures import STARTING, SegmentLine


def run_summary(lines: Mapping[int, SegmentLine]) -> dict[str, Any]:
    """Return what a run has recorded, as one JSON object.

    `records`, `frames` and bytes are those of the segments that are there, and so are the times. `end` is how its last
    segment ended: clean, killed, rotated (the next one is missing), or recording, while it goes on. `gaps` are all
    spans without a READY session; `breaks` counts them without the start of the run.
    Args: `lines` of one run, at least one.
    """
    ordered = [lines[number] for number in sorted(lines)]
    kept = [line for line in ordered if line.state == "kept"]
    shown = kept or ordered
    times = [ns for line in shown for ns in (line.from_ns, line.to_ns) if ns is not None]
    gaps = [gap for line in kept for gap in line.gaps]
    breaks = [gap for gap in gaps if gap.reason != STARTING]
    return {
        "type": "recording",
        "run_id": ordered[0].run_id,
        "account_id": ordered[0].account_id,
        "environment": ordered[0].environment,
        "symbols": list(ordered[0].symbols),
        "from": iso_time(min(times)) if times else None,
        "to": iso_time(max(times)) if times else None,
        "seconds": round((max(times) - min(times)) / 1e9, 3) if times else None,
        "segments": len(kept),
        "removed_segments": [line.segment for line in ordered if line.state == "removed"],
        "missing_segments": [line.segment for line in ordered if line.state == "missing"],
        "records": sum(line.records for line in kept),
        "frames": sum(line.frames for line in kept),
        "journal_bytes": sum(line.journal_bytes for line in kept),
        "bytes": sum(line.file_bytes for line in kept),
        "end": shown[-1].end,
        "breaks": len(breaks),
        "break_s": round(sum(gap.to_ns - gap.from_ns for gap in breaks) / 1e9, 3),
        "gaps": [
            {"from": iso_time(gap.from_ns), "to": iso_time(gap.to_ns), "reason": gap.reason, **_ns(gap)} for gap in gaps
        ],
        "damage": [line.damage for line in kept if line.damage is not None],
        "files": [line.file for line in kept],
    }


def _ns(gap: Any) -> dict[str, int]:
    return {name: ns for name, ns in asdict(gap).items() if name.endswith("_ns")}
