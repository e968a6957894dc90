"""What happened, in a sentence of either language; the bot's own text, in its English, where that says more."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.words.catalogue import Words
from bot.dashboard.words.figures import limit_figures
from bot.dashboard.words.reasons import DETAILED, cause_said, says_all

_BARE_CHECKS = frozenset({"not_ready", "unknown_order"})
"""Refusals that have no numbers, and of which the code says everything."""


def event_text(event: dict[str, Any], words: Words, digits: int | None = None) -> str:
    """Return one event of a snapshot in words, without its symbol. Args: `digits` those of its prices, where known."""
    match event["kind"]:
        case "order":
            return _order(event, words, digits)
        case "state":
            return _state(event, words)
        case "refused":
            said = words("refused_event", check=words.code("check", event["code"]))
            causes = [words.code("cause", cause["code"]) for cause in event.get("causes") or ()]
            more = limit_figures(event["code"], event, words) or words.listed(causes)
            return words("with_more", text=said, more=more) if more else said
        case _:
            return words.code("notice", event["code"])


def event_why(event: dict[str, Any], words: Words) -> str | None:
    """Return why an order follows its target: the leverage before and after it, and the strategy's factors."""
    now, target, factors = (event.get(key) for key in ("leverage_now", "leverage_target", "factors"))
    if factors is None or now is None or target is None:
        return None
    now, target = (words("times", number=formats.leverage(each)) for each in (now, target))
    said = words("order_leverage", now=now, target=target)
    named = [f"{words.code('factor', name)} {_factor(factor, words)}" for name, factor in factors.items()]
    return words("with_more", text=said, more=words.listed(named)) if named else said


def event_detail(event: dict[str, Any], words: Words) -> str | None:
    """Return the bot's own text, where it says more than the sentences do."""
    text = event["text"] or None
    if event["kind"] == "order" and event.get("rest") is not None:
        return event["rest"] or None
    causes = event.get("causes") or ()
    are_said = words.language != "en" and bool(causes) and all(says_all(cause, words) for cause in causes)
    if event["kind"] == "state" and event.get("reasons") is not None:
        codes = {reason.partition(":")[0] for reason in event["reasons"]}
        are_more = [code in DETAILED or not (are_said or words.has("reason", code)) for code in codes]
        return text if any(are_more) else None
    if words.language == "en":
        return text
    if event["kind"] == "refused":
        is_said = are_said or event["code"] in _BARE_CHECKS or limit_figures(event["code"], event, words) is not None
        return None if is_said else text
    return text


def _state(event: dict[str, Any], words: Words) -> str:
    state = words("trading_state", state=words.code("trading", event["code"]))
    reasons = event.get("reasons")
    if reasons is None:
        return state
    standing = words("ready") if event.get("ready") else words("not_ready")
    causes = {cause["code"]: cause for cause in event.get("causes") or ()}
    said = [cause_said(causes[each], words) if each in causes else _reason(each, words) for each in reasons]
    if not said:
        return words("state_event_free", standing=standing, state=state)
    return words("state_event", standing=standing, state=state, why=words("semicolon").join(said))


def _order(event: dict[str, Any], words: Words, digits: int | None) -> str:
    fields = {
        "action": words.code("action", event["action"]),
        "side": words.code("side", event["side"]),
        "lots": formats.lots(event["lots"]) or words("unknown"),
        "state": words.code("state", event["code"]),
    }
    if (price := event["price"]) is None:
        return words("order_event", **fields)
    return words("order_event_at", **fields, price=f"{price:.10g}" if digits is None else formats.price(price, digits))


def _factor(factor: float | None, words: Words) -> str:
    return words("unknown") if factor is None else f"×{formats.fixed(factor, 2)}"


def _reason(reason: str, words: Words) -> str:
    code, _, subject = reason.partition(":")
    return words.code("cause" if words.has("cause", code) else "reason", code, subject)
