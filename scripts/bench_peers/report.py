"""What was measured, as rows: which side does which work, compared with which row of ours, in a table or as JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "microlev"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True)
class Line:
    """One row of the table. `reference` is the row of ours that a peer is compared with; None for our own rows."""

    work: str
    side: str
    row: str
    does: str
    reference: str | None = None


_BYTES = "wire bytes → messages"
_WHOLE = "wire bytes → book → figures"
_ROWS = "decoded changes → book → figures"
LINES = (
    Line(_BYTES, OURS, "decode", "frames cut, checked and turned into delta rows"),
    Line(_BYTES, "sdk", "decode", "frames cut, envelope and payload parsed; the fields are not read yet", "decode"),
    Line(_BYTES, "sdk-upb", "decode", "the same program, current protobuf", "decode"),
    Line(_WHOLE, OURS, "whole_1", "book, all features, leverage by `composite`; one frame a batch"),
    Line(_WHOLE, "sdk", "book", "dict book, one imbalance; no features, no leverage", "whole_1"),
    Line(_WHOLE, "sdk-upb", "book", "the same program, current protobuf", "whole_1"),
    Line(_WHOLE, OURS, "whole_16", "the same as above, 16 frames a batch"),
    Line(_WHOLE, OURS, "whole_64", "the same, 64 frames a batch"),
    Line(_ROWS, OURS, "rows_1", "book by quote id, all features; one event a call"),
    Line(_ROWS, "nautilus", "deltas", "book by order id, one imbalance; no features; one event a call", "rows_1"),
    Line(_ROWS, OURS, "rows_64", "book by quote id, all features; 64 events a call"),
    Line(
        _ROWS,
        "hftbacktest",
        "deltas",
        "book of price levels without ids, one imbalance, a step of its clock; no features; one call for all events",
        "rows_64",
    ),
)
LATENCIES = {
    "order": "bytes in → order bytes out, one order",
    "order_cpu": "the same, processor time",
    "order_between": "the same, the venue's own work between two reads",
    "quiet": "bytes in → decision without an order",
    "quiet_cpu": "the same, processor time",
    "quiet_between": "the same, the venue's own work between two reads",
    "ledger": "one intent confirmed by this disk",
}
NAMES = {
    OURS: "microlev",
    "sdk": "official SDK 0.9.2 as it pins protobuf",
    "sdk-upb": "official SDK 0.9.2, protobuf overridden",
    "nautilus": "NautilusTrader OrderBook",
    "hftbacktest": "hftbacktest HashMapMarketDepth",
}


def summarised(
    measured: Mapping[str, Mapping[str, Sequence[float]]], missing: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a row for each line: microseconds an event, and how many times ours; or why it is missing.

    Args: `measured` is side -> row -> repetitions; `missing` is side -> reason.
    """
    rows = []
    for line in LINES:
        row: dict[str, Any] = {"work": line.work, "side": line.side, "row": line.row, "does": line.does}
        times = measured.get(line.side, {}).get(line.row, ())
        row |= _spread(times) if times else {"missing": missing.get(line.side, "not measured")}
        reference = measured.get(OURS, {}).get(line.reference or "", ())
        if times and reference:
            row["times_ours"] = statistics.median(times) / statistics.median(reference)
            row["reference"] = line.reference
        rows.append(row)
    return rows


def _spread(times: Sequence[float]) -> dict[str, Any]:
    return {"median_us": statistics.median(times), "min_us": min(times), "max_us": max(times), "count": len(times)}


def percentiles(latencies: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Return p50 and p99 of each kind of latency, in microseconds."""
    rows = []
    for kind, what in LATENCIES.items():
        times = sorted(latencies.get(kind, ()))
        row: dict[str, Any] = {"kind": kind, "what": what, "count": len(times)}
        if times:
            row |= {"p50_us": statistics.median(times), "p99_us": times[int(0.99 * (len(times) - 1))]}
        rows.append(row)
    return rows


def table(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        f"{results['date']}, {results['machine']}. {results['settings']}.",
        "",
        "| work | side | what it does | processor µs an event: median (min to max) | times ours |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        if "missing" in row:
            figures, times = row["missing"], ""
        else:
            figures = f"{row['median_us']:.2f} ({row['min_us']:.2f} to {row['max_us']:.2f})"
            times = f"{row['times_ours']:.1f}" if "times_ours" in row else ""
        lines.append(f"| {row['work']} | {NAMES[row['side']]} | {row['does']} | {figures} | {times} |")
    lines += ["", "| latency of ours | p50, µs | p99, µs | decisions |", "|---|---|---|---|"]
    for row in results["latencies"]:
        p50, p99 = (f"{row[name]:.0f}" if name in row else "not measured" for name in ("p50_us", "p99_us"))
        lines.append(f"| {row['what']} | {p50} | {p99} | {row['count']} |")
    lines += ["", "Releases: " + "; ".join(f"{NAMES[s]}: {v}" for s, v in results["versions"].items()) + ".", ""]
    lines += [f"- {NAMES[side]}: {words}" for side, words in results["agreement"].items()]
    return "\n".join(lines) + "\n"


def written_into(text: str, results: str, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """Return a document with everything between the two markers replaced. Raises: ValueError without markers."""
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise ValueError(f"the document needs the lines {markers[0]} and {markers[1]}")
    return f"{before}{markers[0]}\n\n{results}\n{markers[1]}{after}"
