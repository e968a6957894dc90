"""The words: two languages with the same keys and figures, lengths of time, causes and reasons by name."""

import string

import pytest
from alert_desk import SECOND, composer

from bot.account.trading import Cause
from bot.alerts.words import CAUSES, ENGLISH, JAPANESE, words
from bot.engine.limit_watch import _ENDED_BY_HAND


def figures(text: str) -> list[tuple[str | None, str | None]]:
    return sorted((name, form) for _, name, form, _ in string.Formatter().parse(text) if name)


def test_both_languages_say_the_same_with_the_same_figures() -> None:
    assert list(ENGLISH) == list(JAPANESE)
    assert {key: figures(text) for key, text in ENGLISH.items()} == {k: figures(t) for k, t in JAPANESE.items()}
    assert list(CAUSES["en"]) == list(CAUSES["ja"])
    assert words("ja") is JAPANESE


def test_every_cause_that_a_person_can_end_has_a_name() -> None:
    assert set(_ENDED_BY_HAND) <= set(CAUSES["en"])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_a_length_of_time_is_told_in_its_largest_fitting_unit(seconds: int, shown: str) -> None:
    assert composer().lasted(seconds * SECOND) == shown


def test_a_cause_is_told_with_its_numbers_in_both_languages() -> None:
    cause = Cause("drawdown", "halted", "drawdown is 12.00% of equity", 0)
    assert composer().cause(cause) == "Drawdown is 12.00% of equity"
    assert composer("ja").cause(cause) == "ドローダウン上限（drawdown is 12.00% of equity）"
    assert composer("ja").cause(Cause("new_one", "halted", "something new", 0)) == "something new"


def test_a_reason_and_a_state_that_have_no_words_yet_are_shown_as_they_are() -> None:
    assert composer("ja").reason("waiting_until:12:00", "…").startswith("取引サーバーが受け付けていません")
    assert composer("ja").reason("new", "as it is") == composer().reason("new", "as it is") == "as it is"
    assert composer().state("partially_filled") == "partially filled"
    assert (composer("ja").state("filled"), composer("ja").state("new")) == ("約定", "new")


def test_a_count_goes_with_the_next_message_or_stands_alone() -> None:
    clerk = composer()
    alert = clerk.alert("crisis", "k", "info", "title", "text", 0)
    assert clerk.with_count(alert, 3) == (alert.title, "text\n00:00:00 UTC (3 more not sent)")
    assert clerk.with_count(alert, 0)[1] == alert.text
    assert "7 messages were not sent" in clerk.count(7, 0).text
