"""Both languages say everything: the same keys, the same fields, and words for every code that the bot has."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from bot.dashboard.feed import COMMANDS, NOT_DONE, Trouble
from bot.dashboard.words.catalogue import CODES, LABELS, LANGUAGES, Words
from bot.engine.readiness import _WORDS as READINESS
from bot.execution.in_flight import FINAL, TRANSITIONS
from bot.sizing.bound import Bound
from strategies.composite import FACTORS

ROOT = Path(__file__).resolve().parents[2]
ENGINE = [*ROOT.glob("bot/engine/*.py"), *ROOT.glob("bot/account/*.py"), *ROOT.glob("bot/execution/*.py")]
PAGE = [
    *ROOT.glob("bot/dashboard/*.py"),
    *ROOT.glob("bot/dashboard/panels/*.py"),
    *ROOT.glob("bot/dashboard/words/*.py"),
]
# Codes that reach `Cause`, `Refused` and `Notice` by way of a name.
NAMED = {
    "cause": {
        *("daily_loss", "drawdown", "by_hand", "stop_file", "reject_rate", "slippage"),
        *("margin_level", "clock_step", "disk_full"),
    },
    "check": {
        *("daily_loss", "drawdown", "exit_cost", "max_leverage", "max_symbol_leverage", "margin_use", "margin_level"),
        *("stop_out_distance", "crisis", "halted", "expected_margin", "unknown_order"),
    },
    "notice": {"manual", "stop_out", "protection", "unknown"},
}


def _calls(name: str) -> Iterator[ast.Call]:
    for path in ENGINE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == name:
                yield node


def _first_texts(name: str, place: int) -> set[str]:
    """The codes that calls of a class are given as literals."""
    arguments = (call.args[place] for call in _calls(name) if len(call.args) > place)
    return {each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def _reason_codes() -> set[str]:
    """What stands before the colon of a reason, wherever the engine makes one."""
    found = set(READINESS)
    for path in ENGINE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
                match = re.fullmatch(r"([a-z_]+):", str(node.values[0].value))
                found |= {match[1]} if match else set()
    return found | {"strategy_error", "leverage_plan"}


CODES_OF_THE_BOT: dict[str, set[str]] = {
    "reason": _reason_codes() - set(CODES["en"]["cause"]),
    "cause": _first_texts("Cause", 0) | NAMED["cause"],
    "ends": _first_texts("Cause", 0) | NAMED["cause"],
    "check": _first_texts("Refused", 1) | NAMED["check"],
    "notice": _first_texts("Notice", 0) | NAMED["notice"],
    "bound": {bound.name.lower() for bound in Bound if bound is not Bound.NONE},
    "cap": {"kelly", "stop_out", "exit_cost", "max_volume", "max_symbol_leverage"},
    "factor": set(FACTORS),
    "state": {"intended", *TRANSITIONS, *FINAL},
    "action": {"open", "increase", "reduce", "close", "place", "amend", "cancel"},
    "side": {"buy", "sell"},
    "order_type": {"market", "market_range", "limit", "stop"},
    "kind": {"all", "state", "order", "refused", "notice"},
    "trading": {"active", "reducing", "halted"},
    "direction": {"long", "short", "follow", "signal"},
    "environment": {"simulator", "demo", "live"},
    "mode": {"dry-run", "trade"},
    "account_type": {"HEDGED", "NETTED", "SPREAD_BETTING"},
    "fill_cause": {"ours", "manual", "stop_out", "protection", "unknown"},
    "trouble": set(get_args(Trouble)),
    "not_done": set(NOT_DONE),
    "span": {"s", "min", "h", "d", "between"},
}


def test_the_codes_are_found_in_the_source() -> None:
    assert {"clock_step", "disk_full", "profit_difference"} <= CODES_OF_THE_BOT["cause"]
    assert {"order_rate", "conversion_rate", "volume_limits"} <= CODES_OF_THE_BOT["check"]
    assert {"transfer", "stray_order", "swap"} <= CODES_OF_THE_BOT["notice"]
    assert {"unprotected", "expected_margin", "margin_difference", "waiting_until"} <= CODES_OF_THE_BOT["reason"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_bot_has_words_and_no_other_does(language: str) -> None:
    assert {group: set(codes) for group, codes in CODES[language].items()} == CODES_OF_THE_BOT


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_words_are_empty_and_a_code_is_not_its_own_word(language: str) -> None:
    for group, codes in CODES[language].items():
        assert all(words for code, words in codes.items() if code != "between"), group
        assert not [code for code, words in codes.items() if code == words and "_" in code]
    assert all(LABELS[language].values())


def _fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_both_languages_have_the_same_labels_with_the_same_fields() -> None:
    assert list(LABELS["en"]) == list(LABELS["ja"])
    differ = {key: text for key, text in LABELS["en"].items() if _fields(text) != _fields(LABELS["ja"][key])}
    assert differ == {}
    for group, codes in CODES["en"].items():
        assert [code for code, text in codes.items() if ("{0}" in text) != ("{0}" in CODES["ja"][group][code])] == []


def test_japanese_is_written_in_japanese() -> None:
    plain = {"rests", "bps", "utc", "bps_root_s", "percent", "megabytes", "bps_number", "trading_state"}
    foreign = [key for key, text in LABELS["ja"].items() if text.isascii() and key not in plain]
    assert foreign == []
    told = {group: [c for c, text in codes.items() if text.isascii() and text] for group, codes in CODES["ja"].items()}
    assert {group: codes for group, codes in told.items() if codes} == {}


def _keys_used() -> tuple[set[str], list[re.Pattern[str]]]:
    """The keys that the page asks for: literal ones, and patterns of those that are put together."""
    keys: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for path in PAGE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                keys.add(node.value)
            is_words = isinstance(node, ast.Call) and _is_words(node.func)
            if is_words and isinstance(key := node.args[0], ast.JoinedStr):  # type: ignore[attr-defined]
                parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w+" for p in key.values]
                patterns.append(re.compile("".join(parts)))
    return keys, patterns


def _is_words(func: ast.expr) -> bool:
    return getattr(func, "id", getattr(func, "attr", "")) in ("words", "_words")


def _literal_keys() -> set[str]:
    return {
        node.args[0].value
        for path in PAGE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _is_words(node.func) and node.args and isinstance(node.args[0], ast.Constant)
    }


def test_the_page_asks_for_no_label_that_there_is_not() -> None:
    asked = _literal_keys()
    assert len(asked) > 80
    assert asked - set(LABELS["en"]) == set()


def test_no_label_is_left_over() -> None:
    keys, patterns = _keys_used()
    left = [key for key in LABELS["en"] if key not in keys and not any(p.fullmatch(key) for p in patterns)]
    assert left == []


def test_every_command_has_its_question() -> None:
    for command in COMMANDS:
        assert {command, f"{command}_question", f"{command}_means", f"{command}_confirm"} <= set(LABELS["en"])


def test_a_code_that_is_newer_than_the_page_is_shown_as_it_is_and_none_as_unknown() -> None:
    words: Any = Words("ja")
    assert words.code("reason", "quite_new", "EURUSD") == "quite_new"
    assert words.code("state", None) == words("unknown") == "不明"
    assert words.code("reason", "stale_quote", "EURUSD").startswith("EURUSD")
    assert Words("xx").language == "en"
    with pytest.raises(KeyError):
        words("no such label")
