"""What the backtest bench measured, as a table: which side did which work, and how many events a second."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench_peers.report import NAMES, OURS

BEGIN, END = "<!-- backtest: begin -->", "<!-- backtest: end -->"


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    side: str
    row: str
    does: str


LINES = (
    Line(OURS, "rule_1", "the rule, decoded messages, a decision a second (`clock_s: 1`)"),
    Line(OURS, "rule_file", "the same, reading and decoding of the Parquet file included"),
    Line(OURS, "rule_025", "the rule, four decisions a second (`clock_s: 0.25`)"),
    Line(OURS, "rule_0", "the rule, a decision after every message (`clock_s: 0`)"),
    Line(
        OURS,
        "composite",
        "`composite`, every rule of sizing and risk on: more work a decision than the peers do, few orders",
    ),
    Line("nautilus", "rule", "the rule: BacktestEngine, two books, objects built beforehand"),
    Line("hftbacktest", "rule", "the rule: two books, compiled loop, arrays made beforehand"),
)
SIDES = NAMES | {"nautilus": "NautilusTrader BacktestEngine", "hftbacktest": "hftbacktest"}


def summarised(
    measured: Mapping[str, Mapping[str, Sequence[float]]], events: int, missing: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a row for each line: rows of the recordings a second of processor time.

    Args: `measured` is side -> row -> seconds for all recordings, one number a round; `missing` is side -> reason.
    """
    rows = []
    for line in LINES:
        row: dict[str, Any] = {"side": line.side, "row": line.row, "does": line.does}
        seconds = measured.get(line.side, {}).get(line.row, ())
        if seconds:
            rates = [events / s for s in seconds]
            row |= {"median": statistics.median(rates), "min": min(rates), "max": max(rates), "rounds": len(rates)}
        else:
            row["missing"] = missing.get(line.side, "not measured")
        rows.append(row)
    return rows


def table(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        f"{results['date']}, {results['machine']}. {results['settings']}.",
        "",
        "| side | what it does | events a second of processor time: median (min to max) | decisions | orders |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        figures = row.get("missing") or f"{row['median']:,.0f} ({row['min']:,.0f} to {row['max']:,.0f})"
        told = results["told"].get(row["side"], {}).get(row["row"], {})
        counts = " | ".join(f"{told[name]:,}" if name in told else "" for name in ("decisions", "orders"))
        lines.append(f"| {SIDES[row['side']]} | {row['does']} | {figures} | {counts} |")
    lines += ["", f"To start an engine of ours takes {results['startup_s'] * 1e3:.0f} ms of each run and is in it.", ""]
    lines += ["Releases: " + "; ".join(f"{SIDES[s]}: {v}" for s, v in results["versions"].items()) + ".", ""]
    lines += [f"- {words}" for words in results["agreement"]]
    if memory := results.get("memory"):
        lines += [
            "",
            f"{memory['title']}.",
            "",
            "| days (UTC) | rows so far | resident, MB | peak, MB |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {m['days']} | {m['rows']:,} | {m['resident_mb']:.0f} | {m['peak_mb']:.0f} |" for m in memory["marks"]
        ]
    return "\n".join(lines) + "\n"
