"""What an arm gains inside each kind of span, against figures by hand: an arm that is out of the market in crises."""

import numpy as np
import pytest
from arm_runs import MONDAY_NS, fill, fills_of, run_of

from bot.research.compare.arms import ADAPTIVE, COMPOSITE, CONSTANT, OWN
from bot.research.compare.comparison import BY_VOLATILITY, InSpan
from bot.research.compare.in_spans import EVERY_SHOCK, bars_in, in_spans, kinds_of
from bot.research.compare.judging import Judging, Seen, judged, without_exit
from bot.research.compare.spans import CALM, CRISIS
from bot.research.metrics.arm_run import SECOND_NS, ArmRun, Span, TradingTime
from bot.research.metrics.bars import bars_of
from bot.research.metrics.interval import Sampling
from bot.research.metrics.summary import summary_of
from bot.research.metrics.windows import windows_of

_STEP_S, _ROWS, _CRISES = 60, 2400, 12
_EVERY_S = 200 * 60


def span(from_s: float, to_s: float, kind: str) -> Span:
    return Span(MONDAY_NS + round(from_s * SECOND_NS), MONDAY_NS + round(to_s * SECOND_NS), kind)


def crises() -> list[Span]:
    """Ten minutes every 200, from the fiftieth on, not on the grid of bars."""
    return [span(50 * 60 + 120 + i * _EVERY_S, 50 * 60 + 720 + i * _EVERY_S, CRISIS) for i in range(_CRISES)]


def run(leverage_in_crisis: float, cost: float) -> ArmRun:
    """Falls 1 % times what is held in each minute of a crisis but gains a little elsewhere; one fill a crisis."""
    at_s = np.arange(_ROWS) * _STEP_S
    time_ns = MONDAY_NS + at_s * SECOND_NS
    is_crisis = np.zeros(_ROWS, bool)
    for each in crises():
        is_crisis |= (time_ns >= each.from_ns) & (time_ns < each.to_ns)
    leverage = np.where(is_crisis, leverage_in_crisis, 1.0)
    noise = np.random.default_rng(3).normal(0, 1e-5, _ROWS)
    growth = np.where(is_crisis, 1 - 0.001 * leverage_in_crisis, 1 + 1e-6) + noise * ~is_crisis
    fills = [fill((each.from_ns - MONDAY_NS) / 1e9 + 60, 100, 1 + cost, 1.0) for each in crises()]
    return run_of(1000 * np.cumprod(growth), at_s=at_s, fills=fills_of(*fills), leverage=leverage)


def seen(arm: ArmRun, spans: list[Span]) -> Seen:
    kinds = dict.fromkeys([CRISIS, *(each.kind for each in spans)])
    windows = {kind: windows_of(arm, spans, kind) for kind in kinds}
    return Seen(summary_of(arm, spans), bars_of(arm), windows)


def compared(spans: list[Span], shocks: tuple[Span, ...] = ()) -> dict[tuple[str, str], InSpan]:
    arms = {COMPOSITE: seen(run(0.25, 0.0001), spans), CONSTANT: seen(run(1.0, 0.0004), spans)}
    judging = Judging(MONDAY_NS, tuple(spans), TradingTime(), Sampling(resamples=50), shocks)
    return {(each.kind, each.figure): each for each in in_spans(arms, "trend", BY_VOLATILITY, judging)}


def test_an_arm_that_holds_a_quarter_in_crises_loses_a_quarter_there_and_is_the_same_in_calm_time() -> None:
    spans = [span(0, _ROWS * _STEP_S, CALM), *crises()]
    found = compared(spans)
    loss = found[CRISIS, "mean_loss_frac"]
    assert loss.spans == _CRISES
    assert loss.theirs == pytest.approx(1 - 0.999**10)
    assert loss.ours == pytest.approx(1 - 0.99975**10)
    assert loss.interval.estimate == pytest.approx(loss.ours - loss.theirs)
    assert loss.interval.is_known and loss.interval.high < 0
    drawdown = found[CRISIS, "mean_drawdown_frac"]
    assert drawdown.is_reduction and drawdown.interval.estimate == pytest.approx(1 - loss.ours / loss.theirs)
    # Ten minutes that begin two into a bar touch three bars, fifteen minutes, five of them calm.
    leverage = found[CRISIS, "mean_leverage"]
    assert (leverage.ours, leverage.theirs) == (pytest.approx((10 * 0.25 + 5) / 15), pytest.approx(1.0))
    # A fill of 100 units at a cost of 4 and of 1 bps, on an equity of 1000, in each 15 minutes.
    cost = found[CRISIS, "shortfall_bps_per_day"]
    assert (cost.ours, cost.theirs) == (pytest.approx(0.1 * 96), pytest.approx(0.4 * 96))
    assert cost.interval.unit == "window" and cost.interval.high < 0
    for name in ("net_return_frac", "mean_leverage", "shortfall_bps_per_day"):
        calm = found[CALM, name]
        assert calm.ours == pytest.approx(calm.theirs, abs=1e-12)
        assert calm.interval.unit == "bar"
    assert found[CALM, "shortfall_bps_per_day"].ours == 0, "every fill is in a crisis"


def test_what_happened_once_is_told_but_its_interval_is_unknown() -> None:
    (first, *_) = crises()
    found = compared([first])
    loss = found[CRISIS, "mean_loss_frac"]
    assert loss.spans == 1 and loss.ours == pytest.approx(1 - 0.99975**10)
    assert not loss.interval.is_known and "fewer than 10 say nothing" in loss.interval.remark
    assert not found[CRISIS, "net_return_frac"].interval.is_known


def test_shocks_are_windows_only_and_told_together_as_well() -> None:
    shocks = tuple(span(each.from_ns / 1e9 - MONDAY_NS / 1e9, (each.from_ns - MONDAY_NS) / 1e9 + 60, kind)
                   for each, kind in zip(crises(), ["spread", "gap"] * 6, strict=True))  # fmt: skip
    found = compared([span(0, _ROWS * _STEP_S, CALM), *shocks], shocks)
    assert {kind for kind, _ in found} == {CALM, "spread", "gap", EVERY_SHOCK}
    every = found[EVERY_SHOCK, "mean_loss_frac"]
    assert every.spans == _CRISES and every.interval.is_known
    assert not found["spread", "mean_loss_frac"].interval.is_known
    assert ("spread", "net_return_frac") not in found, "a bar says nothing of a minute"


def test_every_bar_is_in_one_group_and_calm_has_those_that_touch_nothing() -> None:
    time_ns = MONDAY_NS + np.arange(8) * 300 * SECOND_NS + 7 * SECOND_NS
    spans = [span(0, 2400, CALM), span(301, 700, "a"), span(650, 1000, "a"), span(1500, 1800, "b")]
    assert [group.tolist() for group in bars_in(time_ns, spans, ["a"])] == [[1, 2], [3]]
    assert [group.tolist() for group in bars_in(time_ns, spans, ["b"])] == [[5]]
    assert [group.tolist() for group in bars_in(time_ns, spans, [CALM])] == [[0, 4, 6, 7]]
    assert not bars_in(time_ns, [*spans, span(2000, 2060, "b")], ["b"])
    assert kinds_of(spans, spans[3:]) == {CALM: (CALM,), "a": ("a",), "b": ("b",)}


def test_what_the_weekend_moved_is_in_no_figure_of_the_time_after_it() -> None:
    at_s = np.append(np.arange(10) * 60, 200_400 + np.arange(20) * 60)  # the second part is the crisis
    lost = np.where(at_s > 3_600, 0.7, 1.0) * np.where(at_s > 200_700, 0.99, 1.0)
    opening = span(200_000, 201_600, CRISIS)
    arms = {
        name: seen(run_of(1000 * lost**held, at_s=at_s), [opening]) for name, held in ((COMPOSITE, 1), (CONSTANT, 2))
    }
    judging = Judging(MONDAY_NS, (opening,), TradingTime(), Sampling(resamples=50))
    found = {each.figure: each for each in in_spans(arms, "trend", BY_VOLATILITY, judging)}
    assert (found["net_return_frac"].ours, found["net_return_frac"].theirs) == pytest.approx((-0.01, 0.99**2 - 1))
    assert (found["mean_loss_frac"].ours, found["mean_loss_frac"].theirs) == pytest.approx((0.01, 1 - 0.99**2))


def test_arms_that_could_not_get_out_are_named_with_the_share_of_the_time_that_they_held() -> None:
    cost = np.append(np.full(38, 1.0), [np.inf, np.inf])
    stuck = seen(run_of(np.full(40, 1000.0), leverage=np.ones(40), exit_cost_bps=cost), [])
    free = seen(run_of(np.full(40, 1000.0), leverage=np.ones(40), exit_cost_bps=np.ones(40)), [])
    assert without_exit({COMPOSITE: stuck, CONSTANT: free}) == "5 % (composite) of held time"
    assert without_exit({CONSTANT: free, "flat": seen(run_of(np.full(9, 1000.0)), [])}) == ""


def test_nothing_is_judged_but_the_composite_arm_or_the_configs_own() -> None:
    judging = Judging(MONDAY_NS, (), TradingTime(), Sampling(resamples=50))
    arm = seen(run(1.0, 0.0), [])
    of_others = judged({CONSTANT: arm, ADAPTIVE: arm}, "trend", BY_VOLATILITY, 2, judging)
    assert (of_others.verdict.arm, of_others.verdict.outcome, of_others.verdict.parts) == ("", "undecided", ())
    assert of_others.verdict.sentence.startswith("no verdict") and of_others.deflated is None
    own = judged({CONSTANT: arm, OWN: arm, ADAPTIVE: arm}, "trend", BY_VOLATILITY, 2, judging)
    assert (own.verdict.arm, len(own.verdict.parts)) == (OWN, 4)


def test_without_the_composite_arm_or_its_rivals_there_is_nothing_to_say() -> None:
    judging = Judging(MONDAY_NS, tuple(crises()), TradingTime(), Sampling())
    arm = seen(run(1.0, 0.0), crises())
    assert in_spans({CONSTANT: arm}, "trend", BY_VOLATILITY, judging) == []
    assert in_spans({COMPOSITE: arm}, "trend", BY_VOLATILITY, judging) == []
