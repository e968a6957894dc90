"""Reasons and causes as nodes: the words of the language first, then what the bot says in detail, in its English."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.tree import Node, node
from bot.dashboard.words.catalogue import Words

_DETAILED = frozenset(
    {
        *("market_closed", "trading_mode", "expected_margin", "margin_difference", "leverage_plan"),
        *("unprotected", "strategy_error"),
    }
)
"""Reasons of which the bot's own text says more than words for a code can: until when, how much, which line."""


def reason_text(reason: str, text: str | None, words: Words) -> list[Node]:
    """Return a readiness reason, `code` or `code:SUBJECT`, as nodes. Args: `text` the bot's English for it."""
    code, _, subject = reason.partition(":")
    group = "cause" if words.has("cause", code) else "reason"
    if not words.has(group, code):
        return [text or reason]
    if words.language == "en" and text:
        return [text]
    said: list[Node] = [words.code(group, code, subject)]
    return [*said, _detail(text)] if text and (code in _DETAILED or group == "cause") else said


def cause_text(cause: dict[str, Any], words: Words) -> list[Node]:
    """Return a cause of the trading state: what, since when, until when, and the bot's text with the numbers."""
    said = words.code("cause", cause["code"])
    since, until = formats.clock(cause["since"]), cause["until"]
    span = words("since", time=since) if until is None else words("since_until", time=since, until=formats.clock(until))
    nodes: list[Node] = [said, " ", node("span", span, class_="span")]
    if cause["flattens"]:
        nodes.append(node("strong", " ", words("is_flattening")))
    return [*nodes, _detail(cause["text"])] if cause["text"] else nodes


def _detail(text: str) -> Node:
    return node("small", text, lang="en", class_="detail")
