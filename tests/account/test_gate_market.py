"""The gate's checks of the market and of the broker's word: at the limit, past it, the largest volume that fits."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_risk import LIMITS, SPEC, UNLEVERED, VIEW, approved, refused

from bot.account.margin import MarginRules
from bot.account.market_risk import MarketRisk
from bot.account.new_orders import GrowthBar, NewOrders, no_news
from bot.account.risk import ApprovedTarget, Refused, RiskGate, RiskLimits

ONE, NAN, INF = np.ones(2), math.nan, math.inf
CALM = MarketRisk(
    stress_frac=0.05 * ONE,
    sell_units=np.full(2, 1e9),
    buy_units=np.full(2, 1e9),
    spread_bps=0.5 * ONE,
    spot_only=np.zeros(2, np.bool_),
    exit_bound_bps=5 * ONE,
    crisis_level=np.zeros(2),
)


def review(
    target_units: float, *, held_units: float = 0, limits: RiskLimits = LIMITS, spec: Any = SPEC, **more: Any
) -> ApprovedTarget | Refused:
    market = replace(CALM, **{k: v for k, v in more.items() if hasattr(CALM, k)})
    news = replace(no_news(2), **{k: v for k, v in more.items() if k in NewOrders.__dataclass_fields__})
    view = {k: v for k, v in more.items() if hasattr(VIEW, k)}
    sides = {
        "long_units": np.array([max(float(held_units), 0.0), 0.0]),
        "short_units": np.array([max(-float(held_units), 0.0), 0.0]),
    }
    seen = replace(VIEW, market=market, new_orders=news, **{**sides, **view})
    return RiskGate(limits).review(seen, 0, spec, round(100 * held_units), round(100 * target_units), foreign=False)


def test_a_quiet_market_refuses_nothing() -> None:
    assert approved(review(30_000)) == 30_000


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("crisis", {"crisis_level": 2 * ONE}, {"crisis_level": 3 * ONE}),
        ("crisis", {}, {"crisis_level": NAN * ONE}),
        ("exit_cost", {"spread_bps": 2.0 * ONE}, {"spread_bps": 2.001 * ONE}),
        ("exit_cost", {}, {"spread_bps": NAN * ONE}),
        ("exit_cost", {"sell_units": 1_000 * ONE}, {"sell_units": 999 * ONE}),
        ("exit_cost", {"buy_units": 0 * ONE}, {"sell_units": NAN * ONE}),
        ("exit_cost", {"spot_only": ONE > 0, "exit_bound_bps": ONE, "spread_bps": 2 * ONE, "sell_units": NAN * ONE},
         {"spot_only": ONE > 0, "exit_bound_bps": 0.99 * ONE, "spread_bps": 2 * ONE}),
        ("expected_margin", {}, {"bars": (GrowthBar(0.2, 0.05, "why"), None)}),
        ("expected_margin", {"known_usd": np.full((2, 2), 1_000.0)}, {"known_usd": np.full((2, 2), 999.0)}),
        ("expected_margin", {"known_usd": np.array([[1_000, 0], [0, 0]])}, {"known_usd": np.zeros((2, 2))}),
        ("stop_out_distance", {"stress_frac": 9.0 * ONE}, {"stress_frac": 10.1 * ONE}),
        ("halted", {}, {"unsupported": "no"}),
    ],
)  # fmt: skip
def test_a_check_passes_what_is_within_its_limit_and_refuses_what_is_not(check: str, good: dict, bad: dict) -> None:
    limits = replace(LIMITS, max_spread_bps=2.0)
    assert approved(review(1_000, limits=limits, **good)) == 1_000
    verdict = review(1_000, limits=limits, **bad)
    assert refused(verdict) == check
    assert isinstance(verdict, Refused) and verdict.reason and "nan" not in verdict.reason.split(";")[0].split(":")[-1]


@pytest.mark.parametrize("bad", [{"crisis_level": 3 * ONE}, {"sell_units": 0 * ONE}, {"stress_frac": 99 * ONE},
                                 {"bars": (GrowthBar(None, None, "why"), None)}, {"unsupported": "no"}])  # fmt: skip
def test_a_reduction_passes_whatever_the_market(bad: dict[str, Any]) -> None:
    assert approved(review(10_000, held_units=30_000, **bad)) == 10_000
    assert approved(review(0, held_units=-30_000, **bad)) == 0


def test_a_crisis_is_passed_over_when_the_config_says_so() -> None:
    assert approved(review(1_000, limits=replace(LIMITS, heeds_crisis=False), crisis_level=3 * ONE)) == 1_000


@given(st.floats(0.001, 0.2), st.floats(0.05, 1), st.sampled_from([20.0, 100.0, 500.0]), st.integers(-300, 300))
def test_the_largest_size_that_survives_the_stress_of_every_symbol_is_found(
    stress: float, level: float, leverage: float, other_thousands: int
) -> None:
    limits = replace(UNLEVERED, max_margin_use_frac=1.0, min_margin_level_frac=0.01, stop_out_level_frac=level)
    other = 1_000.0 * other_thousands
    long_units, short_units = np.array([0, max(other, 0.0)]), np.array([0, max(-other, 0.0)])
    verdict = review(
        400_000, limits=limits, stress_frac=np.array([stress, 0.01]), margin_rules=MarginRules(leverage, "SUM"),
        long_units=long_units, short_units=short_units,
    )  # fmt: skip

    def survives(units: float) -> bool:
        """Equity after the moves against the margin used, spelt out."""
        equity = 10_000 - units * stress - abs(other) * 2 * 0.01
        return equity >= level * (units + 2 * abs(other)) / leverage

    size = approved(verdict) if isinstance(verdict, ApprovedTarget) else 0.0
    use = (size + 2 * abs(other)) / leverage / 10_000
    assert size == 0 or survives(size - 1e-6)
    assert size == 400_000 or not survives(size + 1_000 + 1e-6) or use + 1_000 / leverage / 10_000 > 1 - 1e-9
    if isinstance(verdict, ApprovedTarget) and size < 400_000:
        assert "stop_out_distance" in verdict.note or "margin_use" in verdict.note


def test_a_hedged_pair_survives_by_its_net_position() -> None:
    held = {"long_units": np.array([200_000.0, 0]), "short_units": np.array([200_000.0, 0])}
    assert approved(review(1_000, stress_frac=0.5 * ONE, limits=UNLEVERED, **held)) == 1_000


@pytest.mark.parametrize("held", [0, 5_000])
def test_the_whole_position_counts_for_what_can_be_left(held: float) -> None:
    verdict = review(20_000, held_units=held, sell_units=8_500 * ONE)
    assert approved(verdict) == 8_000
    assert isinstance(verdict, ApprovedTarget) and "exit_cost" in verdict.note


def test_the_brokers_exposure_limit_counts_both_sides_and_what_is_on_its_way() -> None:
    spec = replace(SPEC, max_exposure_cents=2_000_000)
    assert approved(review(20_000, spec=spec)) == 20_000
    other = {"short_units": np.array([4_000.0, 0]), "pending_units": np.array([3_000.0, 0])}
    verdict = review(20_000, spec=spec, **other)
    assert approved(verdict) == 13_000
    full = review(20_000, spec=spec, short_units=np.array([20_000.0, 0]))
    assert refused(full) == "volume_limits" and isinstance(full, Refused)
    assert (full.value, full.limit) == (21_000, 20_000) and "broker's" in full.reason


def test_growth_ends_where_the_brokers_word_ends() -> None:
    known = np.array([[12_500.0, 0], [INF, 0]])
    verdict = review(20_000, known_usd=known)
    assert approved(verdict) == 12_000
    assert isinstance(verdict, ApprovedTarget) and "expected_margin" in verdict.note
    assert approved(review(-20_000, known_usd=known)) == -20_000
    assert approved(review(20_000, held_units=5_000, known_usd=known)) == 12_000


@pytest.mark.parametrize("factor", [1.0, 1.04, 3.0])
def test_the_stricter_of_the_two_margins_counts_for_growth(factor: float) -> None:
    verdict = review(10_000, factors=np.array([factor, 1.0]))
    assert isinstance(verdict, ApprovedTarget) and verdict.margin_after == pytest.approx(100 * factor)


def test_lower_leverage_concerns_what_is_added_since_it_began() -> None:
    caps = np.array([20.0, INF])
    verdict = review(20_000, held_units=10_000, leverage_caps=caps, older_units=np.array([[10_000.0, 0], [0, 0]]))
    assert isinstance(verdict, ApprovedTarget)
    assert (verdict.margin_before, verdict.margin_after) == pytest.approx((100, 100 + 500))
    verdict = review(20_000, held_units=10_000, leverage_caps=caps, older_units=np.array([[4_000.0, 0], [0, 0]]))
    assert isinstance(verdict, ApprovedTarget) and verdict.margin_after == pytest.approx(40 + 800)
    higher = review(20_000, held_units=10_000, leverage_caps=10 * caps)
    assert isinstance(higher, ApprovedTarget) and higher.margin_after == pytest.approx(200)


def test_a_refusal_for_margin_says_when_it_is_the_configs_lower_leverage_that_binds() -> None:
    tight = replace(LIMITS, max_margin_use_frac=0.001)
    told = "(new orders at 1:20, by risk.leverage_windows or risk.leverage_bands)"
    lower = review(30_000, limits=tight, leverage_caps=np.array([20.0, INF]))
    assert isinstance(lower, Refused) and lower.check == "margin_use" and told in lower.reason
    for caps in (np.array([INF, 20.0]), np.array([100.0, INF])):  # another symbol's; one that lowers nothing
        plain = review(30_000, limits=replace(tight, max_margin_use_frac=0.0005), leverage_caps=caps)
        assert isinstance(plain, Refused) and plain.check == "margin_use" and "leverage_windows" not in plain.reason
