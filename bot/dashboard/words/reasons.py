"""Reasons and causes in the words of the language; what only the bot can say in detail stands below, in its English."""

from collections.abc import Mapping
from typing import Any

from bot.dashboard import formats
from bot.dashboard.tree import Node, node
from bot.dashboard.words.catalogue import Words
from bot.dashboard.words.figures import limit_figures

DETAILED = frozenset(
    {
        *("market_closed", "trading_mode", "expected_margin", "margin_difference", "leverage_plan"),
        *("unprotected", "strategy_error"),
    }
)
"""Reasons of which the bot's own text says more than words for a code can: until when, how much, which line."""
_SAID_BY_CODE = frozenset({"by_hand", "stop_file"})
"""Causes without numbers of which code and note say everything."""


def reason_text(reason: str, text: str | None, words: Words) -> list[Node]:
    """Return a readiness reason, `code` or `code:SUBJECT`, as nodes. Args: `text` the bot's English for it."""
    code, _, subject = reason.partition(":")
    group = "cause" if words.has("cause", code) else "reason"
    if not words.has(group, code):
        return [text or reason]
    if words.language == "en" and text:
        return [text]
    said: list[Node] = [words.code(group, code, subject)]
    return [*said, _detail(text)] if text and (code in DETAILED or group == "cause") else said


def cause_said(cause: Mapping[str, Any], words: Words) -> str:
    """Return a cause in words, with its numbers and the reason that somebody gave, where they are known."""
    code, said = cause["code"], words.code("cause", cause["code"])
    more = [limit_figures(code, cause, words), words("given", note=cause["note"]) if cause.get("note") else None]
    told = [each for each in more if each is not None]
    return words("with_more", text=said, more=words.listed(told)) if told else said


def says_all(cause: Mapping[str, Any], words: Words) -> bool:
    """Return whether words say of a cause what the bot's own text does.

    A snapshot of a bot that does not tell its numbers yet has no key for them.
    """
    code = cause["code"]
    if "note" not in cause or not words.has("cause", code):
        return False
    return code in _SAID_BY_CODE or bool(cause["note"]) or limit_figures(code, cause, words) is not None


def cause_text(cause: dict[str, Any], words: Words) -> list[Node]:
    """Return a cause of the trading state: what and how much, since when, until when, and what ends it."""
    since, until = formats.clock(cause["since"]), cause["until"]
    span = words("since", time=since) if until is None else words("since_until", time=since, until=formats.clock(until))
    nodes: list[Node] = [cause_said(cause, words), " ", node("span", span, class_="span")]
    if cause["flattens"]:
        nodes += [" · ", node("strong", words("is_flattening"))]
    if words.language == "en" or not says_all(cause, words):
        return [*nodes, _detail(cause["text"])] if cause["text"] else nodes
    return [*nodes, node("small", words.code("ends", cause["code"]), class_="detail")]


def _detail(text: str) -> Node:
    return node("small", text, lang="en", class_="detail")
