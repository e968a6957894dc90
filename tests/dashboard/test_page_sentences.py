"""Why a symbol holds what it holds, in sentences of both languages, made from the numbers."""

from typing import Any

import pytest

from bot.dashboard.tree import text_of
from bot.dashboard.words.catalogue import LANGUAGES, Words
from bot.dashboard.words.events import event_detail, event_text, event_why
from bot.dashboard.words.figures import limit_figures
from bot.dashboard.words.leverage import CAPS, CRISIS_LEAVES, doubled, sentences
from bot.dashboard.words.reasons import cause_text, reason_text
from bot.sizing.bound import Bound
from bot.sizing.formulas import CRISIS_MULTIPLIERS
from tests.page_snapshots import newest, paper_run

EN, JA = Words("en"), Words("ja")


def _symbol(**changes: Any) -> dict[str, Any]:
    """A symbol that grows step by step towards +2.19x."""
    return {
        "symbol": "EURUSD",
        "leverage_base": 3.0,
        "leverage_wanted": 2.193,
        "leverage_goal": 2.193,
        "leverage_target": 0.33,
        "leverage_now": 0.33,
        "bound": "rate",
        "cap": 8.0,
        "cap_bound": "max_symbol",
        "crisis_level": 0,
        "factors": {"volatility": 0.96, "liquidity": 1.05, "impact": 0.91, "imbalance": 0.8, "fill": 1.0},
    } | changes


def test_every_figure_and_what_holds_it_back_is_said_in_english() -> None:
    assert sentences(_symbol(), EN) == [
        "Holds +0.33x (base 3.00x).",
        "The strategy wants +2.19x: less for imbalance ×0.80, impact ×0.91, volatility ×0.96; "
        "more for liquidity ×1.05.",
        "No cap binds; the tightest is 8.00x, the leverage limit of the symbol.",
        "For now it stays at +0.33x: growing step by step (limit on the rate of increase).",
    ]


def test_and_in_japanese() -> None:
    assert sentences(_symbol(), JA) == [
        "現在の実効レバレッジは+0.33倍です（基準 3.00倍）。",
        "戦略の目標は+2.19倍です（板の偏り ×0.80、インパクト ×0.91、ボラティリティ ×0.96で減／流動性 ×1.05で増）。",
        "上限には達していません。最も近い上限は8.00倍（銘柄ごとのレバレッジ上限）です。",
        "当面は+0.33倍のままです（増やす速さの制限内で、少しずつ増やしています）。",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"leverage_now": None}, "It is not known what is held (base 3.00x)."),
        ({"leverage_now": 0.0}, "Holds nothing (base 3.00x)."),
        (
            {"leverage_wanted": None, "factors": {"impact": None, "fill": 1.0}},
            "How much it wants is not known: impact not known yet.",
        ),
        ({"leverage_wanted": None, "factors": {}}, "How much it wants is not known yet."),
        ({"factors": {}}, "The strategy wants +2.19x: nothing speaks for more or less than the base."),
        ({"factors": {"fill": 1.01}}, "The strategy wants +2.19x: nothing speaks for more or less than the base."),
        (
            {"bound": "stop_out", "leverage_goal": 1.5},
            "It is capped by the distance to the stop-out: +1.50x is allowed.",
        ),
        ({"crisis_level": 1}, "Liquidity crisis, level 1 of 3: 50% of it is left, and nothing grows."),
        ({"crisis_level": 3}, "Liquidity crisis, level 3 of 3: nothing of it is left; what is held is closed."),
        ({"leverage_target": None}, "What to trade to now is not known."),
        ({"leverage_target": 2.19, "bound": None}, "It is going to +2.19x."),
        ({"leverage_target": 2.19, "leverage_now": 2.2, "bound": "band"}, "That is what it holds."),
        (
            {"leverage_target": 1.0},
            "For now it goes to +1.00x: growing step by step (limit on the rate of increase).",
        ),
        ({"leverage_target": 1.0, "bound": None}, "For now it goes to +1.00x: unknown."),
    ],
)
def test_a_sentence_fits_what_is_the_case(changes: dict[str, Any], said: str) -> None:
    assert said in sentences(_symbol(**changes), EN)


def test_nothing_is_said_of_a_cap_that_is_not_known() -> None:
    said = " ".join(sentences(_symbol(cap=None, cap_bound=None), EN))
    assert "cap" not in said


def test_before_the_first_decision_it_says_that_there_is_none() -> None:
    nothing = dict.fromkeys(_symbol()) | {"factors": {}, "crisis_level": 0}
    assert sentences(nothing, EN) == ["It is not known what is held.", "The bot has not decided on it yet."]
    assert len(sentences(nothing, JA)) == 2


def test_what_a_crisis_leaves_and_which_bounds_are_caps_is_as_in_the_engine() -> None:
    assert CRISIS_LEAVES == CRISIS_MULTIPLIERS
    assert {bound.name.lower() for bound in Bound if Bound.NONE < bound <= Bound.MARGIN} == CAPS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("bound", [bound.name.lower() for bound in Bound])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_bound_and_crisis_level_makes_sentences(language: str, bound: str, level: int) -> None:
    words = Words(language)
    said = sentences(_symbol(bound=bound, crisis_level=level), words)
    assert len(said) >= 3 and all(text and "{" not in text for text in said)
    assert (words.code("bound", bound) in " ".join(said)) == (bound != "none")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_moment_of_a_run_has_its_sentences(language: str) -> None:
    words = Words(language)
    for snapshot in paper_run():
        for each in snapshot["symbols"]:
            if each["traded"]:
                assert all("{" not in text for text in (*sentences(each, words), doubled(each, words)))


HALTED = {"trading": "halted", "causes": [{"flattens": False}], "reasons": ["by_hand"]}


def test_a_halt_stands_above_what_is_wanted() -> None:
    growing = _symbol(leverage_target=1.0, if_spread_doubles=_then()["if_spread_doubles"])
    assert sentences(growing, EN, HALTED)[-1] == "Trading is not free (halted): nothing grows, so it stays at +0.33x."
    assert sentences(growing, JA, HALTED)[-1] == "取引停止中のため増やさず、+0.33倍のままです。"
    assert doubled(growing, EN, HALTED).endswith("While trading is not free (halted), nothing grows.")
    shrinking = sentences(_symbol(leverage_target=0.1, leverage_goal=0.1), EN, HALTED)
    assert shrinking[-1] == "It is going to +0.10x."
    turning = sentences(_symbol(leverage_target=-0.1), EN, HALTED)
    assert "nothing grows" in turning[-1]


def test_everything_being_closed_is_said() -> None:
    flattening = HALTED | {"causes": [{"flattens": True}]}
    assert "goes to nothing" in sentences(_symbol(), EN, flattening)[-1]


def test_what_stands_against_this_symbol_is_said_and_not_what_stands_against_another() -> None:
    doubts = {
        "trading": "active",
        "causes": (),
        "reasons": ["stale_quote:EURUSD", "stale_quote:USDJPY", "newer:EURUSD"],
    }
    said = sentences(_symbol(), EN, doubts)
    assert said[-1] == "Besides: no fresh quote for EURUSD: it may only be reduced."
    assert not any("USDJPY" in sentence for sentence in said)


# -- if the spread doubled ------------------------------------------------------------------------------------------


def _then(**changes: Any) -> dict[str, Any]:
    then = {"spread_bps": 0.727, "leverage_goal": 1.5, "leverage_target": 0.33, "bound": "rate", "crisis_level": 0}
    return _symbol(if_spread_doubles=then | {"factors": {}} | changes)


@pytest.mark.parametrize(
    ("each", "said"),
    [
        (
            _then(),
            "If the spread doubled to 0.73 bps, +1.50x would be allowed instead of +2.19x, and it would keep what it "
            "holds: growing step by step (limit on the rate of increase).",
        ),
        (
            _then(leverage_goal=2.19, leverage_target=0.1, bound=None),
            "If the spread doubled to 0.73 bps, still +2.19x would be allowed, and it would go to +0.10x.",
        ),
        (
            _then(leverage_goal=0.0, leverage_target=0.0, bound="crisis", crisis_level=3),
            "If the spread doubled to 0.73 bps, 0.00x would be allowed instead of +2.19x, and it would go to 0.00x: "
            "a liquidity crisis: nothing grows. Crisis level 3.",
        ),
        (_then(leverage_goal=None), "If the spread doubled to 0.73 bps, it is not known what would follow."),
        (_symbol(if_spread_doubles=None), "What a doubled spread would do is not known."),
        (_symbol(), "What a doubled spread would do is not known."),
    ],
)
def test_it_says_what_a_doubled_spread_would_do(each: dict[str, Any], said: str) -> None:
    assert doubled(each, EN) == said
    assert doubled(each, JA).endswith("。")


# -- reasons, causes, events ----------------------------------------------------------------------------------------

CAUSE = {
    "code": "daily_loss",
    "level": "halted",
    "text": "daily_loss is 2.10% of equity",
    "since": "2023-11-14T22:10:00.000Z",
    "until": None,
    "flattens": False,
    "by_limit": True,
}


def test_a_cause_says_what_since_when_and_the_numbers() -> None:
    english, japanese = (text_of(["p", {}, cause_text(CAUSE, words)]) for words in (EN, JA))
    assert "the limit of a day's loss was reached" in english and "since 22:10:00 UTC" in english
    assert "1日の損失が上限に達しました" in japanese
    assert "2.10% of equity" in english and "2.10% of equity" in japanese


def test_a_cause_says_until_when_and_that_it_closes() -> None:
    cause = CAUSE | {"until": "2023-11-14T23:00:00.000Z", "flattens": True, "text": ""}
    said = text_of(["p", {}, cause_text(cause, EN)])
    assert "from 22:10:00 to 23:00:00 UTC" in said and "everything of ours is being closed" in said


def test_a_reason_is_in_the_bots_words_in_english_and_in_ours_in_japanese() -> None:
    assert reason_text("stale_quote:EURUSD", "no fresh quote for EURUSD", EN) == ["no fresh quote for EURUSD"]
    assert reason_text("stale_quote:EURUSD", None, EN)[0].startswith("no fresh quote for EURUSD")
    assert reason_text("stale_quote:EURUSD", "no fresh quote for EURUSD", JA) == [
        "EURUSD の新しいレートが届いていません。決済のみ可能です"
    ]


def test_a_reason_with_details_keeps_them_in_japanese() -> None:
    said = text_of(["p", {}, reason_text("market_closed:EURUSD", "EURUSD opens on Sunday", JA)])
    assert "市場が閉まっています" in said and "opens on Sunday" in said


def test_a_reason_that_is_newer_than_the_page_is_shown_as_the_bot_says_it() -> None:
    assert reason_text("quite_new:EURUSD", "something new", JA) == ["something new"]
    assert reason_text("quite_new", None, JA) == ["quite_new"]


def _event(**changes: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "time": "2023-11-14T22:10:00.000Z",
        "kind": "order",
        "symbol": "EURUSD",
        "code": "filled",
        "text": "why",
        "action": "increase",
        "side": "buy",
        "lots": 0.05,
        "price": 1.09997,
        "paper": True,
        "ready": None,
        "reasons": None,
    } | changes


@pytest.mark.parametrize(
    ("event", "english", "japanese"),
    [
        (
            _event(),
            "increase, buy 0.05 lots: filled at 1.09997",
            "積み増し 買い 0.05 ロット：約定（1.09997）",
        ),
        (_event(code="sent", price=None), "increase, buy 0.05 lots: on the way", None),
        (_event(kind="refused", code="crisis"), "not done: liquidity crisis", "見送り：流動性危機"),
        (_event(kind="notice", code="swap"), "swap booked", "スワップの計上"),
        (_event(kind="state", code="halted"), "Trading: halted", "取引停止中"),
        (_event(kind="state", code="active", ready=True, reasons=[]), "Ready. Trading: active.", None),
        (
            _event(kind="state", code="halted", ready=True, reasons=["stale_quote:EURUSD", "by_hand"]),
            "Ready. Trading: halted. no fresh quote for EURUSD: it may only be reduced; halted by a person",
            "準備完了。取引停止中。EURUSD の新しいレートが届いていません。決済のみ可能です。手動で停止しました",
        ),
    ],
)
def test_an_event_is_said_in_both_languages(event: dict[str, Any], english: str, japanese: str | None) -> None:
    assert event_text(event, EN) == english
    assert japanese is None or event_text(event, JA) == japanese


def test_the_bots_own_text_stands_below_where_it_says_more() -> None:
    assert event_detail(_event(), JA) == "why"
    state = _event(kind="state", code="active", ready=True, reasons=["stale_quote:EURUSD"])
    assert event_detail(state, JA) is None and event_detail(state | {"reasons": ["by_hand"]}, JA) == "why"
    assert event_detail(state | {"text": ""}, EN) is None


def test_a_price_has_the_digits_of_its_symbol() -> None:
    assert event_text(_event(price=65432.1), EN, 2).endswith("filled at 65432.10")
    assert event_text(_event(price=65432.12), EN).endswith("filled at 65432.12")


# -- numbers instead of the bot's English ---------------------------------------------------------------------------

NUMBERS = {"value": 0.021, "limit": 0.02, "note": None}


@pytest.mark.parametrize(
    ("code", "told", "english", "japanese"),
    [
        ("daily_loss", {}, "2.10%, limit 2.00%", "2.10%、上限 2.00%"),
        ("margin_level", {"value": 2.5, "limit": 3.0}, "250%, least 300%", "250%、下限 300%"),
        ("max_leverage", {"value": 10.4, "limit": 10.0}, "10.4x, limit 10.0x", "10.4倍、上限 10.0倍"),
        ("order_rate", {"value": 30.0, "limit": 30.0}, "30, limit 30", "30件、上限 30件"),
        ("stale_quote", {"value": 7.3, "limit": 5.0}, "7.3 s, limit 5.0 s", "7.3秒、上限 5.0秒"),
        ("slippage", {"value": 2.31, "limit": 2.0}, "2.3 bps, limit 2.0 bps", "2.3 bps、上限 2.0 bps"),
        ("disk_full", {"value": 41.6, "limit": 100.0}, "42 MB, least 100 MB", "42 MB、下限 100 MB"),
        (
            "crisis",
            {"value": 3.0, "limit": 3.0},
            "level 3, has to be below level 3",
            "レベル3、レベル3未満で再開",
        ),
    ],
)
def test_numbers_have_the_unit_of_their_limit(code: str, told: dict[str, Any], english: str, japanese: str) -> None:
    assert limit_figures(code, NUMBERS | told, EN) == english
    assert limit_figures(code, NUMBERS | told, JA) == japanese


@pytest.mark.parametrize("told", [{"value": None}, {"limit": None}])
def test_numbers_that_are_unknown_or_have_no_unit_are_left_to_the_bots_text(told: dict[str, Any]) -> None:
    assert limit_figures("daily_loss", NUMBERS | told, JA) is None
    assert limit_figures("exit_cost", NUMBERS, JA) is None and limit_figures("daily_loss", {}, JA) is None


def test_a_cause_with_numbers_needs_no_english_in_japanese() -> None:
    said = text_of(["p", {}, cause_text(CAUSE | NUMBERS, JA)])
    assert said.startswith("1日の損失が上限に達しました（2.10%、上限 2.00%）")
    assert "of equity" not in said and "取引日が変わるか、「再開」するまで続きます" in said
    assert "of equity" in text_of(["p", {}, cause_text(CAUSE | NUMBERS, EN)])


def test_the_reason_that_a_person_gave_is_said_and_an_unknown_one_left_to_the_bot() -> None:
    halt = CAUSE | {"code": "by_hand", "text": "halted by hand (lunch)", "value": None, "limit": None, "note": "lunch"}
    said = text_of(["p", {}, cause_text(halt, JA)])
    assert said.startswith("手動で停止しました（理由：lunch）") and "halted by hand" not in said
    assert "halted by hand" in text_of(["p", {}, cause_text({k: v for k, v in halt.items() if k != "note"}, JA)])
    unsupported = halt | {"code": "unsupported_account", "note": None, "text": "limited risk"}
    assert "limited risk" in text_of(["p", {}, cause_text(unsupported, JA)])
    assert "newer" in text_of(["p", {}, cause_text(halt | {"code": "quite_new", "text": "newer"}, JA)])


def test_an_order_says_its_leverage_and_factors_and_only_the_rest_in_english() -> None:
    factors = {"volatility": 1.02, "impact": None}
    order = _event(leverage_now=0.22, leverage_target=-0.5, factors=factors, rest="")
    assert event_why(order, EN) == "leverage +0.22x to −0.50x (volatility ×1.02, impact unknown)"
    assert event_why(order, JA) == "レバレッジ +0.22倍 → −0.50倍（ボラティリティ ×1.02、インパクト 不明）"
    assert event_detail(order, JA) is None and event_detail(order | {"rest": "slice 2"}, EN) == "slice 2"
    assert event_why(order | {"factors": {}}, EN) == "leverage +0.22x to −0.50x"
    other = order | {"factors": None, "rest": None}
    assert event_why(other, JA) is None and event_detail(other, JA) == "why"


def test_a_refusal_says_its_numbers_and_keeps_the_hint_in_english() -> None:
    refused = _event(kind="refused", code="margin_use", value=0.52, limit=0.5)
    assert event_text(refused, EN) == "not done: margin use (52.0%, limit 50.0%)"
    assert event_text(refused, JA) == "見送り：証拠金使用率（52.0%、上限 50.0%）"
    assert event_detail(refused, JA) is None and event_detail(refused, EN) == "why"
    assert event_detail(refused | {"value": None}, JA) == "why"
    assert event_detail(refused | {"code": "not_ready", "value": None}, JA) is None


def test_what_a_halt_refuses_names_its_causes() -> None:
    halt = {"code": "by_hand", "value": None, "limit": None, "note": "lunch"}
    refused = _event(kind="refused", code="halted", value=None, limit=None, causes=[halt])
    assert (
        event_text(refused, JA) == "見送り：取引の停止・制限（手動で停止しました）"
        and event_detail(refused, JA) is None
    )
    unsupported = halt | {"code": "unsupported_account", "note": None}
    assert event_detail(refused | {"causes": [halt, unsupported]}, JA) == "why"


def test_a_state_names_its_causes_with_their_numbers() -> None:
    loss = {"code": "daily_loss"} | NUMBERS
    state = _event(kind="state", code="halted", ready=True, reasons=["daily_loss"], causes=[loss])
    assert event_text(state, JA) == "準備完了。取引停止中。1日の損失が上限に達しました（2.10%、上限 2.00%）"
    assert event_detail(state, JA) is None and event_detail(state, EN) == "why"


def test_the_bots_own_text_is_not_told_twice_in_english() -> None:
    state = _event(kind="state", code="active", ready=True, reasons=["stale_quote:EURUSD"])
    assert event_detail(state, EN) is None and event_detail(state | {"reasons": []}, EN) is None
    for reason in ("daily_loss", "market_closed:EURUSD", "newer_than_this_page"):
        assert event_detail(state | {"reasons": [reason]}, EN) == "why"


def test_the_event_log_says_readiness_in_codes() -> None:
    states = [each for each in newest()["events"] if each["kind"] == "state"]
    assert states[-1]["ready"] is True and states[-1]["reasons"] == []
    assert states[0]["ready"] is False and states[0]["reasons"]
    assert all(event["reasons"] is None for event in newest()["events"] if event["kind"] == "order")
