"""The verdict of models 17.7: each part, at each of its borders, and what unknown does to it."""

import json
import math
from dataclasses import replace

import pytest

from bot.research.metrics.interval import Bounds, Interval
from bot.research.metrics.plain import plain
from bot.research.metrics.verdict import Evidence, Tails, verdict_on


def _known(estimate, low, high):
    bounds = (Bounds("percentile", low, high),)
    return Interval(estimate, low, high, "percentile", 0.95, 1000, 1, "bar", 12, 240.0, True, "", bounds)


UNKNOWN = Interval(
    0.3, math.nan, math.nan, "", 0.95, 0, 1, "window", 1, 3.0, False, "unknown: 3 blocks of 1 window", ()
)
LOWER = _known(0.3, 0.1, 0.5)
GOOD = Evidence(
    "composite",
    _known(0.2, -0.5, 0.9),
    Tails("vol-adaptive", LOWER, LOWER),
    (Tails("time-of-day", LOWER, LOWER), Tails("shuffled", LOWER, LOWER)),
    {"EURUSD": _known(0.3, 0.2, 0.4)},
)


def _outcomes(evidence):
    return {part.part: part.outcome for part in verdict_on(evidence).parts}


def test_an_arm_that_does_all_that_is_asked_passes() -> None:
    found = verdict_on(GOOD)
    assert found.outcome == "passed"
    assert found.sentence == "composite passes: (a) passed, (b) passed, (c) passed, (d) passed"


@pytest.mark.parametrize(
    ("interval", "outcome", "said"),
    [
        (_known(-1, -2, 0.0), "passed", "-1.00 (-2.00 to +0.00)"),
        (_known(-1, -2, -1e-9), "failed", "all of it below 0"),
        (_known(0, -2, 2), "passed", "could not tell a difference below 2.0 from none"),
        (UNKNOWN, "undecided", "3 blocks of 1 window"),
    ],
)
def test_part_a_asks_whether_the_sharpe_difference_may_be_above_0(interval, outcome, said) -> None:
    part = verdict_on(replace(GOOD, sharpe_difference=interval)).parts[0]
    assert part.outcome == outcome
    assert said in part.sentence


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (_known(0.20, 0.01, 0.4), "passed"),
        (_known(0.19, 0.01, 0.4), "undecided"),
        (_known(0.30, 0.00, 0.4), "undecided"),
        (_known(0.10, 0.05, 0.2), "undecided"),
        (_known(0.10, 0.05, 0.19), "failed"),
        (UNKNOWN, "undecided"),
    ],
)
@pytest.mark.parametrize("which", ["crisis_loss", "exit_cost"])
def test_part_b_asks_for_a_fifth_less_and_an_interval_above_0(interval, outcome, which) -> None:
    assert _outcomes(replace(GOOD, tails=replace(GOOD.tails, **{which: interval})))["b"] == outcome


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (_known(0.05, 0.01, 0.1), "passed"),
        (_known(0.05, 0.0, 0.1), "undecided"),
        (_known(-0.1, -0.2, 0.0), "failed"),
        (UNKNOWN, "undecided"),
    ],
)
@pytest.mark.parametrize("which", ["crisis_loss", "exit_cost"])
@pytest.mark.parametrize("place", [0, 1])
def test_part_c_asks_for_less_than_schedule_and_placebo(interval, outcome, which, place) -> None:
    others = list(GOOD.tails_of_others)
    others[place] = replace(others[place], **{which: interval})
    assert _outcomes(replace(GOOD, tails_of_others=tuple(others)))["c"] == outcome


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (_known(0.9, 0.8, 0.99), "passed"),
        (_known(0.9, 0.8, 1.0), "undecided"),
        (_known(1.5, 1.0, 2.0), "failed"),
        (UNKNOWN, "undecided"),
    ],
)
def test_part_d_asks_each_major_for_less_than_one_bp_a_day(interval, outcome) -> None:
    assert _outcomes(replace(GOOD, resize_cost={**GOOD.resize_cost, "USDJPY": interval}))["d"] == outcome


def test_what_was_not_measured_is_undecided_and_one_failure_fails_all() -> None:
    nothing = replace(GOOD, tails_of_others=(), resize_cost={})
    assert _outcomes(nothing) == {"a": "passed", "b": "passed", "c": "undecided", "d": "undecided"}
    assert verdict_on(nothing).outcome == "undecided"
    assert verdict_on(replace(nothing, sharpe_difference=_known(-2, -3, -1))).outcome == "failed"


def test_a_part_tells_the_figures_that_decided_it_and_is_json() -> None:
    bad = replace(GOOD, resize_cost={"EURUSD": _known(0.3, 0.2, 0.4), "USDJPY": _known(3, 2, 4)})
    part = verdict_on(bad).parts[3]
    assert part.sentence == "failed: resizing USDJPY costs 3.00 (2.00 to 4.00) bps of equity a day: none of it below 1"
    found = json.loads(json.dumps(plain(verdict_on(replace(GOOD, sharpe_difference=UNKNOWN))), allow_nan=False))
    assert found["parts"][0]["figures"][0]["interval"]["low"] is None
