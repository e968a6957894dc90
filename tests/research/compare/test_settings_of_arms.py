"""What an arm changes of the engine's settings, and what it must leave alone."""

from dataclasses import fields, replace

import pytest

from bot.config import parse_config
from bot.research.compare.arms import ARMS, arm_settings
from bot.trials import settings_of
from strategies.composite import Composite

_CONFIG = """
symbols: {EURUSD: {direction: short}, USDJPY: {weight: 0.5}}
venue: {environment: simulator, ca_file: none}
"""
_UNGUARDED = {"constant", "volatility-adaptive", "composite-less-crisis", "time-of-day", "placebo"}
_ANY_TIME = {"constant", "volatility-adaptive", "composite-less-calendar"}


@pytest.mark.parametrize("name", ARMS)
def test_arms_differ_in_strategy_guard_and_calendar_and_in_nothing_else(name: str) -> None:
    given = settings_of(parse_config(_CONFIG, "made", {}))
    strategy = Composite()
    found = arm_settings(ARMS[name], given, strategy)
    assert found.strategy is strategy
    assert found.pace.heeds_crisis == found.risk_limits.heeds_crisis == (name not in _UNGUARDED)
    assert found.calendar == (name not in _ANY_TIME)
    assert [choice.direction for choice in found.symbols] == ["signal", "signal"]
    assert [choice.weight for choice in found.symbols] == [1.0, 0.5]
    assert replace(found.pace, heeds_crisis=True) == given.pace
    assert replace(found.risk_limits, heeds_crisis=True) == given.risk_limits
    changed = {"strategy", "symbols", "pace", "risk_limits", "calendar"}
    for field in fields(given):
        if field.name not in changed:
            assert getattr(found, field.name) == getattr(given, field.name)


def test_what_the_config_has_off_is_on_in_no_arm() -> None:
    given = settings_of(parse_config(_CONFIG + "sizing: {crisis: false, calendar: false}\n", "made", {}))
    for arm in ARMS.values():
        found = arm_settings(arm, given, Composite())
        assert not (found.pace.heeds_crisis or found.risk_limits.heeds_crisis or found.calendar)
