"""Every published error code has a reaction, and an unpublished one a safe one."""

import pytest

from bot.ctrader.errors import RULES, Reaction, fatal_text, rule_for
from bot.ctrader.schema import enum


@pytest.mark.parametrize("code", [*enum("ProtoOAErrorCode"), *enum("ProtoErrorCode")])
def test_every_published_code_has_a_rule_of_its_own(code: str) -> None:
    if code != "NOT_SUBSCRIBED_TO_PNL":  # its feature was withdrawn
        assert code in RULES


def test_an_unlisted_code_leaves_an_orders_outcome_open_and_is_not_repeated_elsewhere() -> None:
    assert rule_for("NO_SUCH_CODE", trading=True).reaction is Reaction.OUTCOME_UNKNOWN
    assert rule_for("NO_SUCH_CODE").reaction is Reaction.CORRECT


def test_a_lost_session_is_recognised_by_its_text() -> None:
    assert rule_for("INVALID_REQUEST", "Trading account is not authorized").reaction is Reaction.AUTHENTICATE
    assert rule_for("INVALID_REQUEST", "volume").reaction is Reaction.CORRECT


@pytest.mark.parametrize("code", [code for code, rule in RULES.items() if rule.reaction is Reaction.FATAL])
def test_a_fatal_code_reads_as_one_line_with_the_code_and_what_to_do(code: str) -> None:
    line = fatal_text(code, "says the venue")
    assert f"({code}: says the venue). " in line
    assert "\n" not in line
    assert not line.endswith("). ")
