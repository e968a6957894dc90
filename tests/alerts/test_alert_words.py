"""The words: two languages with the same keys and figures, lengths of time, causes and reasons by name."""

import string
from dataclasses import replace

import pytest
from alert_desk import SECOND, AlertDesk, composer

from bot.account.trading import Cause
from bot.alerts.words import BARE_CAUSES, CAUSE_ENDS, CAUSE_NUMBERS, CAUSES, ENGLISH, JAPANESE, words
from bot.engine.events import CommandGiven
from bot.engine.limit_watch import _ENDED_BY_HAND, PAUSE_S


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
    numbers = replace(cause, value=0.12, limit=0.1)
    assert composer("ja").cause(numbers) == "ドローダウン上限（12.00%、上限 10.00%）。microlev resume で再開します"
    assert composer("ja").cause(Cause("new_one", "halted", "something new", 0)) == "something new"


def test_a_halt_by_hand_is_told_in_japanese_with_the_reason_that_was_given() -> None:
    halt = Cause("by_hand", "halted", "halted by hand (lunch)", 0, note="lunch")
    assert composer("ja").cause(halt) == "手動による停止（理由：lunch）。microlev resume で再開します"
    assert composer("ja").cause(replace(halt, note="")) == "手動による停止。microlev resume で再開します"
    refused = Cause("unsupported_account", "reducing", "limited risk", 0)
    assert composer("ja").cause(refused) == "未対応の口座種別（limited risk）"


def test_what_is_said_of_a_cause_in_japanese_is_of_causes_that_there_are_and_fits_their_numbers() -> None:
    assert set(CAUSE_NUMBERS) | BARE_CAUSES <= set(CAUSE_ENDS) <= set(CAUSES["ja"])
    for text in CAUSE_NUMBERS.values():
        assert "{" not in text.format(value=0.5, limit=0.25)
    assert "5分" in CAUSE_ENDS["reject_rate"] and PAUSE_S == 300


def test_a_reason_and_a_state_that_have_no_words_yet_are_shown_as_they_are() -> None:
    assert composer("ja").reason("waiting_until:12:00", "…").startswith("取引サーバーに接続できません")
    assert composer("ja").reason("new", "as it is") == composer().reason("new", "as it is") == "as it is"
    assert composer().state("partially_filled") == "partially filled"
    assert (composer("ja").state("filled"), composer("ja").state("new")) == ("約定", "new")


def test_a_count_goes_with_the_next_message_or_stands_alone() -> None:
    clerk = composer()
    alert = clerk.alert("crisis", "k", "info", "title", "text", 0)
    assert clerk.with_count(alert, 3) == (alert.title, "text\n00:00:00 UTC (3 more not sent)")
    assert clerk.with_count(alert, 0)[1] == alert.text
    assert "7 messages were not sent" in clerk.count(7, 0).text


def test_a_price_keeps_all_its_digits() -> None:
    for language in ("en", "ja"):
        assert "65432.12" in composer(language).say("at_price", price=65432.12)


def test_a_close_of_everything_is_told_once_in_each_language() -> None:
    for language, said in (("en", "everything of ours is being closed"), ("ja", "ボットの建玉を決済しています。")):
        desk = AlertDesk(language=language)
        desk.begin()
        desk.hear(CommandGiven(desk.now_ns, "flatten", text="lunch"))
        text = desk.alerts[-1].text
        assert text.count(said) == 1 and "lunch" in text and ("being closed" in text) == (language == "en")


def test_a_day_is_told_in_japanese_without_spaces_between_sentences() -> None:
    desk = AlertDesk(language="ja")
    desk.begin()
    desk.now_ns += 86_400 * SECOND
    desk.hear()
    report = desk.rules.report(desk.days[-1], desk.days[-1].deals, is_whole=False)
    assert report is not None and report.text.count("。") >= 3 and "。 " not in report.text


def test_what_a_broker_says_is_neither_markup_nor_a_mention() -> None:
    said = 'equity <b>gone</b> & <a href="http://x">log in</a> [log in](http://x) @everyone <!channel> \x1b[2J\r\nnew'
    alert = composer().alert("halted", "k", "failure", f"EUR<b>USD: {said}", said, 0)
    for text in (alert.title, alert.text.removesuffix("\n00:00:00 UTC")):
        assert not set(text) & set("<>[]@&\x1b\r\n") and "gone" in text and "everyone" in text


def test_a_secret_is_kept_out_whatever_signs_are_in_it() -> None:
    secret = "pa<ss>&word@[1]"
    assert "word" not in composer("en", secret).alert("halted", "k", "failure", "t", f"with {secret}", 0).text
