"""Margin: the published example, tiers dollar by dollar, the three ways to join two sides, and what is unknown."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.margin import MarginRules, stated_margin, used_margin
from bot.account.position import Position

TIERS = ((1_000_000.0, 500.0), (5_000_000.0, 200.0))


def test_the_published_example_is_met() -> None:
    rules = MarginRules(500, "MAX")
    assert rules.side_margin(1_213_450, 1_213_450, TIERS) == pytest.approx(3067.25, rel=1e-12)
    assert rules.side_margin(2 * 1_213_450, 1_213_450, TIERS) == pytest.approx(2 * 3067.25, rel=1e-12)


@given(st.integers(1, 60), st.integers(1, 600), st.floats(0.1, 10))
def test_tiers_are_brackets_dollar_by_dollar(dollars: int, account_leverage: int, rate: float) -> None:
    tiers = ((10.0, 500.0), (25.0, 200.0), (40.0, 100.0))
    naive = Fraction(0)
    for dollar in range(dollars):
        leverage = next((int(ratio) for upper, ratio in tiers if dollar < upper), 100)
        naive += Fraction(1, min(leverage, account_leverage))
    found = MarginRules(account_leverage, "MAX").side_margin(dollars * rate, dollars, tiers)
    assert found == pytest.approx(float(naive) * rate, rel=1e-12)


def test_without_tiers_the_accounts_leverage_counts() -> None:
    assert MarginRules(50, "MAX").side_margin(1000, math.nan, ()) == 20.0


@pytest.mark.parametrize(("rule", "joined"), [("MAX", 70.0), ("SUM", 100.0), ("NET", 40.0)])
def test_two_sides_are_joined_by_the_accounts_rule(rule: str, joined: float) -> None:
    rules = MarginRules(10, rule)
    assert rules.symbol_margin(30.0, 70.0) == rules.symbol_margin(70.0, 30.0) == joined
    one = np.array([1.0])
    assert used_margin(rules, 300 * one, 700 * one, one, one, [()]) == pytest.approx(joined)


@pytest.mark.parametrize("rules", [MarginRules(None, "MAX"), MarginRules(0, "MAX"), MarginRules(50, "MAX", True)])
def test_margin_is_unknown_without_a_leverage_or_with_limited_risk(rules: MarginRules) -> None:
    assert math.isnan(rules.side_margin(1000, 1000, ()))


@pytest.mark.parametrize("usd", [math.nan, 0.0, -1.0])
def test_margin_with_tiers_needs_the_volume_in_usd(usd: float) -> None:
    assert math.isnan(MarginRules(500, "MAX").side_margin(1000, usd, TIERS))
    assert MarginRules(500, "MAX").side_margin(0.0, math.nan, TIERS) == 0.0


def test_tiers_that_have_not_come_leave_margin_unknown() -> None:
    assert math.isnan(MarginRules(500, "MAX").side_margin(1000, 1000, None))
    assert MarginRules(500, "MAX").side_margin(0.0, 0.0, None) == 0.0


def test_an_unknown_price_matters_only_where_something_is_held() -> None:
    rules = MarginRules(100, "SUM")
    long_units, short_units = np.array([100.0, 0.0, 0.0]), np.array([0.0, 50.0, 0.0])
    price, usd = np.array([2.0, 4.0, math.nan]), np.array([2.0, 4.0, math.nan])
    tiers = [(), TIERS, TIERS]
    assert used_margin(rules, long_units, short_units, price, usd, tiers) == pytest.approx(4.0)
    price[1] = math.nan
    assert math.isnan(used_margin(rules, long_units, short_units, price, usd, tiers))
    nothing = np.zeros(3)
    assert used_margin(rules, nothing, nothing, price, usd, tiers) == 0.0


@pytest.mark.parametrize(("rule", "joined"), [("MAX", 70.0 + 5.0), ("SUM", 100.0 + 5.0), ("NET", 40.0 + 5.0)])
def test_what_the_broker_states_is_joined_by_its_own_rule(rule: str, joined: float) -> None:
    held = [(1, 1, 40), (2, 1, 30), (3, -1, 30), (4, -1, None)]
    positions = [Position(i, 1, sign, 1.0, used_margin=None if m is None else Decimal(m)) for i, sign, m in held]
    positions.append(Position(9, 2, -1, 1.0, used_margin=Decimal(5)))
    assert stated_margin(MarginRules(100, rule), positions) == joined
    assert stated_margin(MarginRules(100, rule), []) == 0


SIDES = st.sampled_from([0.0, 1.0, 1_000.0, 2_500_000.0])
OF_A_SYMBOL = st.tuples(
    SIDES, SIDES, st.sampled_from([1.1, 0.7, math.nan]), st.sampled_from([1.0, math.nan]),
    st.sampled_from([(), TIERS, None]), st.sampled_from([0.0, 700.0, -1_300.0]),
)  # fmt: skip


@given(
    st.lists(OF_A_SYMBOL, min_size=1, max_size=4),
    st.sampled_from([MarginRules(500, kind) for kind in ("MAX", "SUM", "NET")] + [MarginRules(None, "MAX")]),
    st.sampled_from([0.0, 900.0, -900.0]),
    st.booleans(),
    st.booleans(),
)
def test_margin_after_a_trade_is_the_rules_side_by_side(
    symbols: list[tuple[float, float, float, float, tuple[tuple[float, float], ...] | None, float]],
    rules: MarginRules,
    change: float,
    netted: bool,
    reduces: bool,
) -> None:
    longs, shorts, notional, usd, tiers, pending = (list(of_all) for of_all in zip(*symbols, strict=True))
    trades = [(s, p, False) for s, p in enumerate(pending) if p] + [(0, change, reduces)] if change else []
    after = [list(sides) for sides in zip(longs, shorts, strict=True)]
    for s, units, closes in trades:
        if netted:
            net = after[s][0] - after[s][1] + units
            after[s] = [max(net, 0.0), max(-net, 0.0)]
        elif closes:
            after[s][units > 0] = max(after[s][units > 0] - abs(units), 0.0)
        else:
            after[s][units < 0] += abs(units)
    total = 0.0
    for s, sides in enumerate(after):
        if any(sides):
            both = [rules.side_margin(u * notional[s] if u else 0.0, u * usd[s] if u else 0.0, tiers[s]) for u in sides]
            total += math.nan if any(map(math.isnan, both)) else rules.symbol_margin(*both)
    found = used_margin(
        rules,
        *(np.array(x) for x in (longs, shorts, notional, usd)),
        tiers,
        pending_units=np.array(pending),
        change_units=change,
        netted=netted,
        reduces=reduces,
    )
    assert found == total or (math.isnan(found) and math.isnan(total))
