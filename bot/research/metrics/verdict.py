"""Whether an arm passes the test of models 17.7, part by part, from intervals that others have computed.

How it works: a part passes when the data say so, fails when they rule it out, and is undecided in between. An interval
that is unknown decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.research.metrics.interval import Interval

Outcome = Literal["passed", "failed", "undecided"]

LEAST_REDUCTION = 0.20
MOST_RESIZE_BPS = 1.0
TELLING_SHARPE = 1.5
"""Sharpe ratios a year closer than this cannot be told apart in ten days of ticks. Source: models 17.7, power."""


@dataclass(frozen=True, slots=True)
class Tails:
    """By how much an arm lowers two tails against another, paired: 0.2 is a fifth lower.

    `crisis_loss` of the mean drawdown inside crisis windows, `exit_cost` of the exit cost at the 99th percentile.
    """

    against: str
    crisis_loss: Interval
    exit_cost: Interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the test of an arm is decided from.

    `sharpe_difference` arm less the volatility-adaptive arm, net, a year; `tails` against that arm; `tails_of_others`
    against the schedule by time of day and the arm with liquidity shuffled over days; `resize_cost` by symbol, majors,
    in bps of equity a day at a base leverage of 1.
    """

    arm: str
    sharpe_difference: Interval
    tails: Tails
    tails_of_others: tuple[Tails, ...]
    resize_cost: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that a part is decided by, and what it alone says."""

    name: str
    interval: Interval
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the test: passed when each of its figures passes, failed when one fails."""

    part: str
    claim: str
    outcome: Outcome
    sentence: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The test of an arm: passed when every part passes, failed when one fails. No parts: none was run."""

    arm: str
    outcome: Outcome
    sentence: str
    parts: tuple[Part, ...]


def no_verdict() -> Verdict:
    """Return that nothing is said: the test is of an arm that was not run."""
    return Verdict("", "undecided", "no verdict: it is on the composite arm or on config, and neither was run", ())


def verdict_on(evidence: Evidence) -> Verdict:
    """Return what the evidence says of an arm. Source: models 17.7 (a) to (d)."""
    tails, others = evidence.tails, evidence.tails_of_others
    against = tails.against
    parts = (
        _part("a", f"net Sharpe not worse than {against}", [_not_worse(evidence.sharpe_difference, against)]),
        _part(
            "b",
            f"crisis loss and p99 exit cost at least {LEAST_REDUCTION:.0%} lower than {against}",
            [_much_lower(name, each, against) for name, each in _both(tails)],
        ),
        _part(
            "c",
            f"crisis loss and p99 exit cost lower than {' and '.join(each.against for each in others) or 'nobody'}",
            [_lower(name, each, other.against) for other in others for name, each in _both(other)],
        ),
        _part(
            "d",
            f"resizing costs less than {MOST_RESIZE_BPS:g} bps of equity a day at a base leverage of 1",
            [_cheap(name, each) for name, each in evidence.resize_cost.items()],
        ),
    )
    outcome = _all(part.outcome for part in parts)
    sentence = f"{evidence.arm} {_SAYS[outcome]}: " + ", ".join(f"({part.part}) {part.outcome}" for part in parts)
    return Verdict(evidence.arm, outcome, sentence, parts)


_SAYS = {"passed": "passes", "failed": "fails", "undecided": "is undecided"}


def _both(tails: Tails) -> tuple[tuple[str, Interval], tuple[str, Interval]]:
    return ("crisis loss", tails.crisis_loss), ("p99 exit cost", tails.exit_cost)


def _part(part: str, claim: str, figures: Sequence[Figure]) -> Part:
    if not figures:
        return Part(part, claim, "undecided", "undecided: nothing was measured for it", ())
    outcome = _all(each.outcome for each in figures)
    telling = [each.sentence for each in figures if each.outcome == outcome]
    return Part(part, claim, outcome, f"{outcome}: {'; '.join(telling)}", tuple(figures))


def _all(outcomes: Iterable[Outcome]) -> Outcome:
    found = list(outcomes)
    if "failed" in found:
        return "failed"
    return "undecided" if "undecided" in found else "passed"


def _not_worse(difference: Interval, against: str) -> Figure:
    name = "net Sharpe difference"
    if not difference.is_known:
        return _unknown(name, difference)
    span = f"{_range(difference, '{:+.2f}')}, arm less {against}"
    if difference.high < 0:
        return Figure(name, difference, "failed", f"the Sharpe difference is {span}: all of it below 0")
    sentence = f"the Sharpe difference is {span}: not all of it below 0"
    half = (difference.high - difference.low) / 2
    if difference.low <= 0 and half > TELLING_SHARPE:
        sentence += f", but these data could not tell a difference below {half:.1f} from none"
    return Figure(name, difference, "passed", sentence)


def _much_lower(name: str, reduction: Interval, against: str) -> Figure:
    if not reduction.is_known:
        return _unknown(name, reduction)
    span = f"{name} is lower than of {against} by {_range(reduction, '{:.0%}')}"
    wanted = f"{LEAST_REDUCTION:.0%}"
    if reduction.high < LEAST_REDUCTION:
        return Figure(name, reduction, "failed", f"{span}: all of it below {wanted}")
    if reduction.estimate < LEAST_REDUCTION:
        return Figure(name, reduction, "undecided", f"{span}: below {wanted}, which is not ruled out")
    if reduction.low <= 0:
        return Figure(name, reduction, "undecided", f"{span}: enough, but no reduction is not ruled out")
    return Figure(name, reduction, "passed", f"{span}: at least {wanted}, and all of it above 0")


def _lower(name: str, reduction: Interval, against: str) -> Figure:
    name_against = f"{name} against {against}"
    if not reduction.is_known:
        return _unknown(name_against, reduction)
    span = f"{name} is lower than of {against} by {_range(reduction, '{:.0%}')}"
    if reduction.low > 0:
        return Figure(name_against, reduction, "passed", f"{span}: all of it above 0")
    if reduction.high <= 0:
        return Figure(name_against, reduction, "failed", f"{span}: none of it above 0")
    return Figure(name_against, reduction, "undecided", f"{span}: on both sides of 0")


def _cheap(symbol: str, cost: Interval) -> Figure:
    if not cost.is_known:
        return _unknown(f"resize cost of {symbol}", cost)
    span = f"resizing {symbol} costs {_range(cost, '{:.2f}')} bps of equity a day"
    name = f"resize cost of {symbol}"
    if cost.high < MOST_RESIZE_BPS:
        return Figure(name, cost, "passed", f"{span}: all of it below {MOST_RESIZE_BPS:g}")
    if cost.low >= MOST_RESIZE_BPS:
        return Figure(name, cost, "failed", f"{span}: none of it below {MOST_RESIZE_BPS:g}")
    return Figure(name, cost, "undecided", f"{span}: on both sides of {MOST_RESIZE_BPS:g}")


def _unknown(name: str, interval: Interval) -> Figure:
    return Figure(name, interval, "undecided", f"{name}: {interval.remark or 'unknown'}")


def _range(interval: Interval, form: str) -> str:
    low, at, high = (form.format(each) for each in (interval.low, interval.estimate, interval.high))
    return f"{at} ({low} to {high})"
