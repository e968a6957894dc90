"""Margin as stated for open positions against our rules: at the rates of the opening, lasting, and told once."""

from decimal import Decimal

import pytest
from engine_desk import EURUSD, SECOND, START, USDJPY, position

from bot.account.margin import MarginRules
from bot.account.position import Position
from bot.engine.stated_margin import StatedMargin, margins_of_symbol

TIERS = ((10_000.0, 500.0), (1e6, 100.0))
RULES = MarginRules(500.0, "MAX")


def held(volume: int, margin: str | None, rate: float | None = 1.1) -> Position:
    return position(volume, used_margin=None if margin is None else Decimal(margin), margin_rate=rate)


def test_ours_is_computed_at_the_rate_of_the_opening_whatever_the_price_is_now() -> None:
    first, second = (
        held(500_000, "11"),
        held(1_500_000, "140"),
    )  # 5,500 USD at 1:500; 4,500 at 1:500 and 12,000 at 1:100
    assert margins_of_symbol(RULES, TIERS, [first, second], 2.2, 2.2) == pytest.approx((151, 10_000 / 500 + 120))
    assert margins_of_symbol(RULES, TIERS, [held(500_000, "11", None)], 2.2, 2.2) == pytest.approx((11, 20 + 10))
    assert margins_of_symbol(RULES, TIERS, [first, held(1, None)], 1.1, 1.1) is None


@pytest.mark.parametrize(("rule", "both"), [("MAX", (30, 20)), ("SUM", (50, 40)), ("NET", (10, 0))])
def test_the_sides_are_joined_by_the_accounts_rule(rule: str, both: tuple[float, float]) -> None:
    sides = [held(909_090, "30"), held(-909_090, "20")]
    found = margins_of_symbol(MarginRules(500.0, rule), (), sides, 1.1, 1.1)
    assert found == pytest.approx(both, abs=1e-3)


def look(watch: StatedMargin, margin: str, after_s: float) -> None:
    positions = {1: [held(500_000, margin)]}
    now_ns = START + round(after_s * SECOND)
    watch.look(RULES, lambda spec: TIERS, (EURUSD, USDJPY), positions, lambda s: (1.1, 1.1), now_ns)


def test_a_difference_is_told_when_it_lasts_and_keeps_its_first_words() -> None:
    watch = StatedMargin()
    for second in range(5):
        look(watch, "12.5", second)
        assert watch.doubts == {}
    look(watch, "12.5", 5)
    text = watch.doubts["margin_difference:EURUSD"]
    assert text is not None and "12.50" in text and "11.00" in text
    told = watch.doubts
    look(watch, "12.6", 6)
    assert watch.doubts is told
    look(watch, "11.4", 7)
    assert watch.doubts == {}
    look(watch, "9", 8)
    assert watch.doubts == {}, "a new one has to last again"


def test_what_is_within_a_twentieth_is_no_difference() -> None:
    watch = StatedMargin()
    for second in range(20):
        look(watch, "11.5", second)
    assert watch.doubts == {}
