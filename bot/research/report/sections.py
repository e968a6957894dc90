"""The parts of the page as HTML: what was run, the verdict, tables, figures."""

from collections.abc import Sequence
from typing import Any

from bot import __version__
from bot.research.backtest.result import Result
from bot.research.compare.comparison import Comparison, Judged
from bot.research.metrics.arm_run import TradingTime
from bot.research.metrics.verdict import Part
from bot.research.report import tables
from bot.research.report.comparison_figures import groups_of
from bot.research.report.figure import Figure
from bot.research.report.markup import Html, joined, tag
from bot.research.report.span_table import inside_table
from bot.research.report.tables import Cell, Table
from bot.research.report.words import UNKNOWN, moment, words_of

_ASKS = {
    "a": "Does it earn as much for its risk?",
    "b": "Does it lose less, and get out cheaper, when liquidity vanishes?",
    "c": "Is that the book's doing, and not the time of day's?",
    "d": "Is resizing cheap enough?",
}


def heading(comparison: Comparison | None, results: Sequence[Result]) -> Html:
    """Return the top of the page: what was run, on what data, under what assumptions."""
    symbols, from_ns, until_ns = scope(comparison, results)
    facts = [("symbols", ", ".join(symbols)), ("from", moment(from_ns)), ("until", moment(until_ns))]
    if comparison is not None:
        facts += [
            ("days that only taught, until", moment(comparison.calibration_until_ns)),
            ("primary figure, named beforehand", words_of(comparison.primary).name),
            ("variants tried for it, all told", f"{comparison.tries:,}"),
            ("arms", f"{len({each.arm for each in comparison.arms}):,}"),
            ("signals", ", ".join(dict.fromkeys(each.signal for each in comparison.arms)) or UNKNOWN),
        ]
    else:
        facts.append(("runs", ", ".join(each.name for each in results)))
    assumptions = _assumptions(comparison, results)
    facts += [("seed", assumptions.pop("seed", UNKNOWN)), ("software", f"microlev {__version__}")]
    kind = "Comparison of arms" if comparison is not None else "Backtest"
    lead = "A backtest is arithmetic about the past under the assumptions below. It promises nothing about the future."
    return joined(
        tag("h1", f"{kind}: {', '.join(symbols)}"),
        tag("p", lead, class_="lead"),
        _warning(comparison, results),
        _facts(facts),
        *(tag("p", f"Note: {remark}.") for remark in (comparison.remarks if comparison is not None else ())),
        tag("div", table(tables.data_table(comparison, results)), class_="card"),
        tag("details", tag("summary", "Assumptions"), _facts(list(assumptions.items()))) if assumptions else Html(""),
    )


def scope(comparison: Comparison | None, results: Sequence[Result]) -> tuple[tuple[str, ...], int, int]:
    """Return symbols, begin and end of what is reported. Raises: ValueError when there is nothing."""
    if comparison is not None:
        return comparison.symbols, comparison.from_ns, comparison.until_ns
    rows = [each.clocks["time_ns"] for each in results if len(each.clocks)]
    if not rows:
        raise ValueError("nothing to report: there is no comparison, and no run has a row")
    symbols = tuple(dict.fromkeys(name for each in results for name in each.symbols))
    return symbols, min(int(each[0]) for each in rows), max(int(each[-1]) for each in rows)


def semi_synthetic(comparison: Comparison | None, results: Sequence[Result]) -> list[str]:
    """Return the symbols whose depth is made up around real quotes."""
    if comparison is None:
        found = [name for each in results for name, label in each.labels.items() if "semi-synthetic" in label]
        return list(dict.fromkeys(found))
    found = []
    for each in comparison.data:
        words = [str(word) for word in each.values()]
        if any("semi-synthetic" in word for word in words):
            found.append(str(each.get("symbol", words[0])))
    return list(dict.fromkeys(found))


def _warning(comparison: Comparison | None, results: Sequence[Result]) -> Html:
    made_up = semi_synthetic(comparison, results)
    if not made_up:
        return Html("")
    text = (
        ". The quotes are recorded, the depth behind the best price is not: it has the shape of another market's book. "
        "What depends on it (cost of large orders, exit cost, own impact, depth) shows how the strategy works, "
        "and says nothing about the real depth of these markets."
    )
    return tag("p", tag("strong", f"Semi-synthetic depth: {', '.join(made_up)}"), text, class_="warn", role="note")


def _assumptions(comparison: Comparison | None, results: Sequence[Result]) -> dict[str, str]:
    found: dict[str, Any] = {}
    if comparison is not None:
        found = dict(comparison.assumptions)
    elif results:
        found = dict(results[0].assumptions)
        for name in found:
            every = list(dict.fromkeys(str(each.assumptions.get(name)) for each in results))
            found[name] = ", ".join(every) if len(every) > 1 else found[name]
    return {name.replace("_", " "): text for name, text in _flat(found)}


def _flat(nested: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    found = []
    for name, each in nested.items():
        if isinstance(each, dict):
            found += _flat(each, f"{before}{name} ")
        else:
            found.append((f"{before}{name}", "yes" if each is True else "no" if each is False else str(each)))
    return found


def _facts(facts: Sequence[tuple[str, str]]) -> Html:
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts))


def verdicts(comparison: Comparison) -> Html:
    """Return the verdict on each signal and matching, part by part."""
    if not comparison.judged:
        return joined(tag("h2", "Verdict"), tag("p", "Undecided: no arm was judged."))
    lead = (
        "The test was fixed beforehand. A part passes when the data say so, fails when they rule it out, and is "
        "undecided in between; all four have to pass. A null result is a result."
    )
    glance = tables.verdicts_table(comparison)
    return joined(
        tag("h2", "Verdict"),
        tag("p", lead, class_="note"),
        tag("div", table(glance), class_="card") if glance is not None else "",
        *(_judged(each, is_open=not place) for place, each in enumerate(comparison.judged)),
    )


def _judged(judged: Judged, *, is_open: bool) -> Html:
    verdict = judged.verdict
    title = (f"{verdict.arm or 'Nothing judged'}{tables.of((judged.signal, judged.matching))} ", badge(verdict.outcome))
    rest = (tag("p", f"{verdict.sentence}."), *map(_part, verdict.parts))
    if is_open:
        return tag("section", tag("h3", *title), *rest, class_="card")
    return tag("details", tag("summary", *title), *rest, class_="card")


def _part(part: Part) -> Html:
    asks = _ASKS.get(part.part, part.claim)
    lines = (tag("li", f"{each.outcome}: {each.sentence}") for each in part.figures)
    text = tag(
        "div",
        tag("p", tag("strong", f"({part.part}) {asks}")),
        tag("p", f"Asked: {part.claim}."),
        tag("ul", *lines) if part.figures else tag("p", part.sentence, class_="note"),
    )
    return tag("div", tag("div", badge(part.outcome)), text, class_="part")


def badge(outcome: str) -> Html:
    """Return passed, failed or undecided as a badge."""
    return tag("span", outcome, class_=f"badge {outcome}")


def all_tables(
    comparison: Comparison | None, results: Sequence[Result], trading_time: TradingTime | None = None
) -> Html:
    """Return the tables, those of the first signal and matching open, others folded."""
    found: list[Table | None] = []
    if comparison is not None:
        for place, group in enumerate(groups_of(comparison)):
            of_group = [
                tables.arms_table(comparison, group),
                tables.differences_table(comparison, group),
                inside_table(comparison, group),
                tables.spans_table(comparison, group),
            ]
            found += [_folded(each) if each is not None and place else each for each in of_group]
        found.append(tables.tests_table(comparison))
    else:
        found.append(tables.runs_table(results, trading_time))
    found.append(tables.counted_table(results, 0 if comparison is None else comparison.calibration_until_ns))
    kept = [each for each in found if each is not None and each.rows]
    return joined(tag("h2", "Tables"), *(_card(each) for each in kept))


def _folded(shown: Table) -> Table:
    return Table(shown.caption, shown.columns, shown.rows, shown.note, True)


def _card(shown: Table) -> Html:
    if shown.is_secondary:
        return tag("details", tag("summary", shown.caption), table(shown), class_="card")
    return tag("div", table(shown), class_="card")


def table(shown: Table) -> Html:
    """Return a table, in a box of its own that scrolls sideways where the screen is narrow."""
    heads = (tag("th", title, *((tag("small", unit),) if unit else ()), scope="col") for title, unit in shown.columns)
    rows = (tag("tr", _cell(row[0], "th"), *(_cell(cell, "td") for cell in row[1:])) for row in shown.rows)
    body = (tag("caption", shown.caption), tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    whole = tag("table", *body, class_="words" if shown.is_of_words else None)
    box = tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=shown.caption)
    return joined(box, tag("p", shown.note, class_="note") if shown.note else Html(""))


def _cell(cell: Cell, name: str) -> Html:
    small = (tag("small", cell.detail),) if cell.detail else ()
    scope = "row" if name == "th" else None
    text = badge(cell.text) if cell.text in ("passed", "failed", "undecided") else cell.text
    return tag(name, text, *small, scope=scope, class_="telling" if cell.is_telling else None)


def figure_section(figure: Figure, place: int, spec: str) -> Html:
    """Return a figure: its title and sentence, where it is drawn, and the data that it is drawn from."""
    name = f"figure-{place}"
    caption = [tag("h3", figure.title), tag("p", figure.sentence)]
    caption += [tag("p", figure.note)] if figure.note else []
    return tag(
        "figure",
        tag("figcaption", *caption),
        tag(
            "div",
            id=name,
            class_="plot",
            role="img",
            aria_label=figure.sentence,
            style=f"min-height:{figure.height_px}px",
        ),
        tag("script", Html(spec), type="application/json", id=f"{name}-data"),
    )
