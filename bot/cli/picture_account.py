"""The account in the live table: what is at stake, whether it trades and why not, how near its limits are."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from bot.cli.picture_line import CARE, FINE, QUIET, REAL_MONEY, TROUBLE, Piece, clock, labelled, span, wrapped

_NEAR = 0.75  # of a limit: from here on it is marked
_STOP_OUT_NEAR = 0.05  # a move of everything that is held that a bad day has
_TROUBLES_SHOWN = 4


def title(state: dict[str, Any], width: int) -> list[Text]:
    """Return what this is, what is at stake first."""
    pieces = [*_stake(state), (state["strategy"], ""), (f"account {state['account_id'] or 'not known yet'}", "")]
    return labelled("microlev", [*pieces, (f"{clock(state['time'])} UTC", QUIET)], width)


def _stake(state: dict[str, Any]) -> list[Piece]:
    trades, is_live = state["mode"] == "trade", state["environment"] == "live"
    if is_live and trades:
        return [(" LIVE: REAL MONEY ", REAL_MONEY)]
    place = {"live": "LIVE prices,", "demo": "demo account,", "simulator": "simulator,"}[state["environment"]]
    return [(place, "bold"), ("trading: no real money" if trades else "dry run: no order is sent", "bold")]


def standing(state: dict[str, Any], width: int) -> list[Text]:
    """Return whether it is ready, trades and is connected, and what stands in the way, a line each."""
    is_free = state["trading"] == "active"
    pieces: list[Piece] = [
        ("READY", FINE) if state["ready"] else ("NOT READY", TROUBLE),
        (f"trading {state['trading'] if is_free else state['trading'].upper()}", "" if is_free else TROUBLE),
        _link(state),
        (f"{state['orders_last_minute']} of {state['max_orders_per_minute']} orders a minute", QUIET),
    ]
    if state["stopping"]:
        pieces.insert(0, ("ENDING", TROUBLE))
    found = list(_troubles(state))
    lines = labelled("state", pieces, width)
    for words, style in found[:_TROUBLES_SHOWN]:
        lines += wrapped(f"! {words}", width, style, most=2)
    if len(found) > _TROUBLES_SHOWN:
        lines += wrapped(f"! +{len(found) - _TROUBLES_SHOWN} more reasons", width, CARE)
    return lines


def _link(state: dict[str, Any]) -> Piece:
    if state["source"] == "journal":
        return "a recorded run: nothing is connected", QUIET
    if not state["connected"]:
        return ("NOT CONNECTED" if state["connections"] else "not connected yet"), TROUBLE
    drops = state["connections"] - 1
    more = f", {drops} {'drop' if drops == 1 else 'drops'} before" if drops else ""
    return f"connected for {span(state['connected_s'])}{more}", ""


def _troubles(state: dict[str, Any]) -> Iterator[Piece]:
    for cause in state["causes"]:
        until = "" if cause["until"] is None else f", until {clock(cause['until'])}"
        flattens = ", closes what is ours" if cause["flattens"] else ""
        since = f"{cause['level']} since {clock(cause['since'])}{until}{flattens}"
        yield f"{cause['text']} ({since})", TROUBLE if cause["level"] == "halted" else CARE
    said = {cause["text"] for cause in state["causes"]}
    for words in state["texts"]:
        if words not in said:
            yield words, CARE if state["ready"] else TROUBLE
    if not state["connected"] and state["last_error"] is not None:
        yield f"{clock(state['last_error']['time'])} {state['last_error']['text']}", CARE
    if state["hands_off"] and not any(name in words for name in state["hands_off"] for words in state["texts"]):
        yield f"hands off {', '.join(state['hands_off'])} until `microlev resume`", CARE


def money(state: dict[str, Any], width: int) -> list[Text]:
    """Return what the account is worth, how much of each limit is used, and how far the stop-out is."""
    limits, currency = state["account_limits"], state["deposit_currency"] or ""
    worth: list[Piece] = [
        (f"{_money(state['equity'])} {currency}".rstrip(), "bold"),
        (f"balance {_money(state['balance'])}", ""),
        (f"used margin {_money(state['used_margin'])}", ""),
        _level(state["margin_level"], state["used_margin"], limits["min_margin_level_frac"]),
    ]
    used = [
        _used("leverage", limits["leverage"], limits["max_leverage"], "x"),
        _used("margin", limits["margin_use_frac"], limits["max_margin_use_frac"], "%", 100),
        _used("daily loss", limits["daily_loss_frac"], limits["max_daily_loss_frac"], "%", 100),
        _used("drawdown", limits["drawdown_frac"], limits["max_drawdown_frac"], "%", 100),
    ]
    return [
        *labelled("equity", worth, width),
        *labelled("limits", used, width),
        *labelled("stop-out", _stop_out(limits, currency), width),
    ]


def _money(sum_of_it: float | None) -> str:
    return "unknown" if sum_of_it is None else f"{sum_of_it:,.2f}"


def _level(level: float | None, margin: float | None, least: float) -> Piece:
    if level is None:
        return f"margin level {'none: no margin is used' if margin == 0 else 'unknown'}", ""
    near = level < least / _NEAR
    # In hundredths, as brokers and the page show it.
    return f"margin level {level:,.0%}, least {least:.0%}{' !' if near else ''}", CARE if near else ""


def _stop_out(limits: dict[str, Any], currency: str) -> list[Piece]:
    loss, move, level = limits["stop_out_loss"], limits["stop_out_move_frac"], limits["stop_out_level_frac"]
    if loss is None:
        return [("nothing is held" if limits["leverage"] == 0 else "unknown how far", "")]
    style, sign = (TROUBLE, " !!") if loss <= 0 else ("", "")
    pieces = [(f"{_money(loss)} {currency} away".replace("  ", " ") + sign, style)]
    if move is not None:
        near = (CARE, " !") if move < _STOP_OUT_NEAR else ("", "")
        how_far = "over 100%" if move > 1 else f"{move:.1%}"
        pieces.append((f"a move of {how_far} of all that is held against us{near[1]}", near[0]))
    return [*pieces, (f"at margin level {level:.0%}", QUIET)]


def _used(name: str, used: float | None, limit: float, unit: str, scale: float = 1) -> Piece:
    of = f"of {limit * scale:g}{unit}"
    if used is None:
        return f"{name} unknown {of}", CARE
    style, sign = (TROUBLE, " !!") if used >= limit else (CARE, " !") if used >= _NEAR * limit else ("", "")
    return f"{name} {used * scale + 0.0:.2f}{unit} {of}{sign}", style
