"""What is held, what is on its way and what has happened, in the live table."""

from typing import Any

from rich.text import Text

from bot.cli.picture_line import CARE, LABEL_WIDTH, QUIET, TROUBLE, Piece, clock, cut, labelled, price, span, wrapped

_ON_THE_WAY = ("intended", "sent", "accepted")  # of an order, before what became of it
_UNSETTLED = ("unknown",)
_OTHERS = "(or resume, flatten, status)"


def positions(state: dict[str, Any], width: int, most: int) -> list[Text]:
    """Return what is held, with what closing it now would bring."""
    pieces = [_position(position, state) for position in state["positions"]]
    return labelled("positions", pieces or [("none", "")], width, most)


def _position(p: dict[str, Any], state: dict[str, Any]) -> Piece:
    gain = "profit unknown" if p["unrealised"] is None else f"{p['unrealised'] + 0.0:+,.2f}"
    whose = "" if p["ours"] else ", not ours"
    at = price(p["price"], p["symbol"], state)
    return f"{p['symbol'] or 'unlisted symbol'} {p['side']} {_lots(p)} at {at} ({gain}{whose})", ""


def _lots(p: dict[str, Any]) -> str:
    return f"{p['volume_cents'] / 100:g} units" if p["lots"] is None else f"{p['lots']:g} lots"


def orders(state: dict[str, Any], width: int, most: int) -> list[Text]:
    """Return our orders that have not ended, those of unknown outcome first; nothing without any."""
    waiting = sorted(state["orders"], key=lambda order: (order["state"] not in _UNSETTLED, order["resting"]))
    return labelled("orders", [_order(order, state) for order in waiting], width, most)


def _order(o: dict[str, Any], state: dict[str, Any]) -> Piece:
    what = " ".join(str(part) for part in (o["action"], o["side"]) if part is not None)
    at = "" if o["limit_price"] is None else f" at {price(o['limit_price'], o['symbol'], state)}"
    words = f"{o['symbol']} {what} {o['volume_cents'] / 100:g} units{at}"
    if o["state"] in _UNSETTLED:
        return f"! {words}: outcome UNKNOWN, asking the venue", TROUBLE
    return f"{words}, {'resting' if o['resting'] else 'on its way'} {span(o['age_s'])}", ""


def slippage(state: dict[str, Any], width: int) -> list[Text]:
    """Return what fills were to cost and what they cost, means of the run; nothing before the first."""
    known = [(s["symbol"], s["slippage"]) for s in state["symbols"] if s["slippage"]["fills"]]
    if not known:
        return []
    count = sum(each["fills"] for _, each in known)
    predicted, realised = (
        sum(each["fills"] * each[key] for _, each in known) / count for key in ("predicted_bps", "realised_bps")
    )
    fills = "1 fill" if count == 1 else f"{count} fills"
    pieces: list[Piece] = [(f"{fills}: predicted {predicted:.2f} bps, paid {realised:.2f}", "")]
    if len(known) > 1:
        pieces += [(f"{name} {each['predicted_bps']:.2f}, {each['realised_bps']:.2f}", QUIET) for name, each in known]
    return labelled("slippage", pieces, width, 1)


def events(state: dict[str, Any], width: int, most: int) -> list[Text]:
    """Return the newest events, the newest of them first, a line each; of an order what became of it."""
    lines: list[Text] = []
    ended: set[str] = set()
    for event in reversed(state["events"]):
        if len(lines) >= most:
            break
        if event["kind"] == "order":
            if event["code"] in _ON_THE_WAY and event["client_order_id"] in ended | _waiting(state):
                continue
            ended.add(event["client_order_id"])
        lines += wrapped(event_words(event, state), width, _event_style(event))
    return lines


def _waiting(state: dict[str, Any]) -> set[str]:
    """Return the orders that have a place of their own."""
    return {order["client_order_id"] for order in state["orders"]}


def event_words(event: dict[str, Any], state: dict[str, Any]) -> str:
    """Return an event in a line, without the end of the line."""
    symbol = "" if event["symbol"] is None else f" {event['symbol']}"
    head = f"{clock(event['time'])}{symbol}"
    if event["kind"] == "order":
        paper = "paper " if event["paper"] else ""
        at = "" if event["price"] is None else f" at {price(event['price'], event['symbol'], state)}"
        what = f"{event['action']}, {event['side']} {event['lots']:g} lots{at}"
        return f"{head} {paper}order {event['code']}: {what}; {event['text']}"
    return f"{head} {_kind(event)}{event['text']}"


def _kind(event: dict[str, Any]) -> str:
    return f"refused by {event['code']}: " if event["kind"] == "refused" else ""


def _event_style(event: dict[str, Any]) -> str:
    return CARE if event["kind"] == "refused" or event["code"] in ("rejected", "unknown", "halted") else QUIET


def steering(path: str | None, page: str | None, on_stop: str, width: int) -> list[Text]:
    """Return how to steer the run: on the page beside it, from another terminal, and what Ctrl-C does."""
    stays = {
        "cancel": "(resting orders are cancelled, positions stay)",
        "keep": "(resting orders and positions stay)",
        "flatten": "(and closes our positions)",
    }[on_stop]
    commands: list[Piece] = [] if path is None else [(f"microlev halt {path}", "bold"), (_OTHERS, QUIET)]
    lines = [] if page is None else [_link(page, width)]
    return [*lines, *labelled("steer", [*commands, ("Ctrl-C ends the run", "bold"), (stays, QUIET)], width)]


def _link(page: str, width: int) -> Text:
    """Return a link on one line, without its label where that makes room: what is cut can be clicked still."""
    label = "page".ljust(LABEL_WIDTH) if LABEL_WIDTH + len(page) <= width else ""
    return Text(label, QUIET, no_wrap=True).append(cut(page, width - len(label)), f"not dim link {page}")
