"""What the composite arm gains and loses inside each kind of span, as a table and as lines for a terminal."""

from collections.abc import Iterator

from bot.research.compare.comparison import Comparison, InSpan
from bot.research.report.tables import Cell, Group, Table, of
from bot.research.report.words import TELLING, Words, excludes_zero, number, span

FIGURES = {
    ("net_return_frac", False): Words("net return", "%", 100.0, 3),
    ("mean_loss_frac", False): Words("loss, mean of each", "%", 100.0, 4),
    ("mean_drawdown_frac", True): Words("drawdown, mean of each: reduction", "%", 100.0, 0),
    ("shortfall_bps_per_day", False): Words("shortfall", "bps of equity a day"),
    ("exit_cost_of_equity_p99_bps", True): Words("exit cost of everything, p99: reduction", "%", 100.0, 0),
    ("mean_leverage", False): Words("mean leverage", "equities"),
}
"""How figures of spans are written, in the order of the columns."""


def inside_table(comparison: Comparison, group: Group) -> Table | None:
    """Return how the composite arm differs from its rivals in calm time and in each kind of event, a row a pair."""
    found = [each for each in comparison.in_spans if (each.signal, each.matching) == group]
    if not found:
        return None
    columns = (("in", "how many"), ("against", ""), *((words.name, words.unit) for words in FIGURES.values()))
    rows = []
    for kind, against in dict.fromkeys((each.kind, each.against) for each in found):
        of_row = {(e.figure, e.is_reduction): e for e in found if (e.kind, e.against) == (kind, against)}
        count = next(iter(of_row.values())).spans
        cells = (_cell(of_row.get(name), words) for name, words in FIGURES.items())
        rows.append((Cell(f"{kind} ({count:,})"), Cell(against), *cells))
    note = (
        f"{found[0].arm} less the arm beside it, or the share by which it is lower; below, the interval and what each "
        f"was. {TELLING} marks intervals that leave out 0. One draw is an hour of calm time, or one stretch of another "
        "kind; with fewer than ten of them the interval is unknown."
    )
    return Table(f"Gained and lost in calm time and in events{of(group)}", columns, tuple(rows), note)


def inside_lines(comparison: Comparison, group: Group) -> Iterator[str]:
    """Yield the same for a terminal: what is told from chance, and how many differences are not."""
    found = [each for each in comparison.in_spans if (each.signal, each.matching) == group]
    for each in found:
        if excludes_zero(each.interval):
            words = FIGURES[each.figure, each.is_reduction]
            told = f"{number(each.interval.estimate, words, signed=True)} ({span(each.interval, words, signed=True)})"
            yield f"in {each.kind} ({each.spans:,}) against {each.against}: {words.name} {told} {words.unit}"
    if found:
        unknown = sum(not each.interval.is_known for each in found)
        chance = sum(each.interval.is_known and not excludes_zero(each.interval) for each in found)
        yield f"in calm time and events: {chance} other differences are not told from chance, {unknown} are unknown"


def _cell(each: InSpan | None, words: Words) -> Cell:
    if each is None:
        return Cell("")
    plain = words._replace(times=100.0, decimals=3) if each.figure.endswith("_frac") else Words("", "", 1.0, 2)
    both = f"{number(each.ours, plain)} against {number(each.theirs, plain)}"
    is_telling = excludes_zero(each.interval)
    text = number(each.interval.estimate, words, signed=True)
    detail = f"{span(each.interval, words, signed=True)}; {both}"
    return Cell(f"{text} {TELLING}" if is_telling else text, detail, is_telling)
