"""What happened, in a sentence of either language; the bot's own text, in its English, as the detail below it."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.words.catalogue import Words


def event_text(event: dict[str, Any], words: Words) -> str:
    """Return one event of a snapshot in words, without its symbol."""
    match event["kind"]:
        case "order":
            return _order(event, words)
        case "state":
            state = words("trading_state", state=words.code("trading", event["code"]))
            reasons = event.get("reasons")
            if reasons is None:
                return state
            standing = words("ready") if event.get("ready") else words("not_ready")
            said = [_reason(reason, words) for reason in reasons]
            return (
                words("state_event", standing=standing, state=state, why=words("semicolon").join(said))
                if said
                else (words("state_event_free", standing=standing, state=state))
            )
        case "refused":
            return words("refused_event", check=words.code("check", event["code"]))
        case _:
            return words.code("notice", event["code"])


def event_detail(event: dict[str, Any], words: Words) -> str | None:
    """Return the bot's own text, where it says more than the sentence does."""
    if event["kind"] == "state" and event.get("reasons") is not None and words.language == "ja":
        return event["text"] if any(words.has("cause", reason) for reason in event["reasons"]) else None
    return event["text"] or None


def _order(event: dict[str, Any], words: Words) -> str:
    fields = {
        "action": words.code("action", event["action"]),
        "side": words.code("side", event["side"]),
        "lots": formats.lots(event["lots"]) or words("unknown"),
        "state": words.code("state", event["code"]),
    }
    price = event["price"]
    return words("order_event", **fields) if price is None else words("order_event_at", **fields, price=f"{price:g}")


def _reason(reason: str, words: Words) -> str:
    code, _, subject = reason.partition(":")
    return words.code("cause" if words.has("cause", code) else "reason", code, subject)
