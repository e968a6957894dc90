"""What comes back from the consent page is taken when it is ours, once, and otherwise left."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.net.consent import Consent

STATE = "the-state"


@given(st.text(max_size=30))
def test_no_other_state_is_taken(state: str) -> None:
    kind = "granted" if state == STATE else "foreign"
    assert Consent(STATE).hear({"state": [state], "code": ["c"]}).kind == kind


@given(st.text(max_size=60))
def test_no_line_without_our_state_is_taken(line: str) -> None:
    reply = Consent(STATE).hear_pasted(line)
    assert reply is None or reply.kind == "foreign"


@pytest.mark.parametrize(
    "query",
    [
        {"code": ["c"]},
        {"state": [STATE], "code": []},
        {"state": [STATE], "code": [""]},
        {"state": [STATE], "code": ["c", "d"]},
        {"state": [STATE, STATE], "code": ["c"]},
        {"state": [STATE]},
    ],
)
def test_what_is_not_one_state_and_one_code_is_left_and_the_right_answer_still_counts(
    query: dict[str, list[str]],
) -> None:
    consent = Consent(STATE)
    assert consent.hear(query).kind == "foreign"
    assert consent.hear({"state": [STATE], "code": ["c"]}).code == "c"


def test_an_answer_serves_once() -> None:
    consent = Consent(STATE)
    assert consent.hear({"state": [STATE], "code": ["c"]}).kind == "granted"
    assert consent.hear({"state": [STATE], "code": ["c"]}).kind == "foreign"


def test_a_denial_is_told_in_plain_words_and_ends_it() -> None:
    consent = Consent(STATE)
    reply = consent.hear({"state": [STATE], "error": ["access_denied"], "error_description": ["no\n\x1b[2J way"]})
    assert (reply.kind, reply.text) == ("denied", "access was not granted: access_denied: no [2J way")
    assert consent.is_answered


def test_a_denial_with_another_state_ends_nothing() -> None:
    consent = Consent(STATE)
    assert consent.hear({"state": ["x"], "error": ["access_denied"]}).kind == "foreign"
    assert not consent.is_answered


@pytest.mark.parametrize("form", ["{}", "  {} \n", '"{}"', "<{}>"])
def test_a_pasted_address_is_taken_however_it_was_copied(form: str) -> None:
    address = f"http://localhost:8765/?{urlencode({'code': 'c+/=', 'state': STATE})}"
    reply = Consent(STATE).hear_pasted(form.format(address))
    assert reply is not None
    assert (reply.kind, reply.code) == ("granted", "c+/=")


def test_an_empty_line_says_nothing_and_a_bare_code_is_refused_with_a_reason() -> None:
    consent = Consent(STATE)
    assert consent.hear_pasted("  \n") is None
    reply = consent.hear_pasted("4711abc")
    assert reply is not None
    assert "a code alone is not enough" in reply.text


def test_a_code_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(Consent(STATE).hear({"state": [STATE], "code": ["s3cret"]}))
