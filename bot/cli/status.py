"""The state of a running bot in words: what `status`, `halt`, `resume` and `flatten` print."""

import textwrap
from collections.abc import Iterator
from typing import Any

_WIDTH = 100
_INDENT = " " * 11


def in_words(state: dict[str, Any]) -> str:
    """Return a status, as `bot.telemetry.status` makes it, for a person."""
    currency = state["deposit_currency"] or ""
    level = "unknown" if state["margin_level"] is None else f"{state['margin_level']:,.0%}"
    level = "none (no margin is used)" if state["used_margin"] == 0 else level
    lines = [
        f"account    {state['account_id']} ({state['environment']}, {state['mode']}), strategy {state['strategy']}, "
        f"run {state['run_id']}, process {state['process_id']}",
        f"equity     {_money(state['equity'])} {currency}, balance {_money(state['balance'])} {currency}, used margin "
        f"{_money(state['used_margin'])} {currency}, margin level {level}",
        *trading_lines(state),
        _connection(state),
    ]
    for text in state["texts"]:
        lines.append(f"reason     {text}")
    for each in state["leverage"]:
        now, target = _leverage(each["leverage_now"]), _leverage(each["leverage_target"])
        lines.append(f"leverage   {each['symbol']}  {now}, target {target}; {each['text'] or 'no decision on it now'}")
    lines += [f"position   {_position(p)}" for p in state["positions"]] or ["position   none"]
    lines += [f"order      {_order(o)}" for o in state["orders"]]
    lines.append(f"orders     {state['orders_last_minute']} in the last minute of {state['max_orders_per_minute']}")
    if state["last_error"] is not None:
        lines.append(f"last error {_clock(state['last_error']['time'])} {state['last_error']['text']}")
    return "\n".join(line if line.startswith("cause ") else _wrapped(line) for line in lines)


def _wrapped(line: str) -> str:
    """Return a line, or several of a terminal's width."""
    words = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, _WIDTH, subsequent_indent=_INDENT, **words)


def trading_lines(state: dict[str, Any]) -> Iterator[str]:
    """Yield the trading state, and each cause of it with the time since when it stands."""
    yield f"trading    {state['trading']}{', and the run is ending' if state['stopping'] else ''}"
    for cause in state["causes"]:
        until = "" if cause["until"] is None else f", until {_clock(cause['until'])}"
        flattens = ", closes what is ours" if cause["flattens"] else ""
        since = f"{cause['level']} since {_clock(cause['since'])}{until}{flattens}"
        yield f"cause      {cause['code']}: {cause['text']} ({since})"
    if state["stop_file"] is not None:
        yield f"stop file  {state['stop_file']} is there"
    if state["hands_off"]:
        names = ", ".join(state["hands_off"])
        yield f"hands off  {names}, until `microlev resume`: closed by somebody else, or by a protective order"


def left_lines(state: dict[str, Any], when: str) -> Iterator[str]:
    """Yield what of ours is not closed, and what stands in the way."""
    own = [p for p in state["positions"] if p["ours"]]
    if not state["ready"]:
        yield f"not known to be flat {when}: {'; '.join(state['texts']) or 'the bot is not ready'}"
    else:
        yield f"left {when}: {len(own)} position(s), {len(state['orders'])} order(s)"
        for text in state["texts"]:
            yield f"reason     {text}"
    for position in own:
        yield f"position   {_position(position)}"
    for order in state["orders"]:
        yield f"order      {_order(order)}"


def _connection(state: dict[str, Any]) -> str:
    if not state["connected"]:
        return f"connection down ({state['connections']} so far)"
    ready = "ready" if state["ready"] else "not ready"
    return f"connection up for {_span(state['connected_s'])} (number {state['connections']}), {ready}"


def _position(p: dict[str, Any]) -> str:
    ours = "ours" if p["ours"] else "not ours"
    return f"{p['position_id']} {p['symbol'] or 'unlisted symbol'} {p['side']} {_lots(p)} at {p['price']:g}, {ours}"


def _order(o: dict[str, Any]) -> str:
    price = "" if o["limit_price"] is None else f" at {o['limit_price']:g}"
    kind = "resting" if o["resting"] else "on its way"
    what = " ".join(str(part) for part in (o["action"], o["side"]) if part is not None)
    volume = f"{o['volume_cents'] / 100:g} units"
    return f"{o['client_order_id']} {o['symbol']} {what} {volume}{price}, {kind}, {o['state']}, {_span(o['age_s'])} old"


def _lots(p: dict[str, Any]) -> str:
    return f"{p['volume_cents'] / 100:g} units" if p["lots"] is None else f"{p['lots']:g} lots"


def _money(number: float | None) -> str:
    return "unknown" if number is None else f"{number:,.2f}"


def _leverage(number: float | None) -> str:
    return "unknown" if number is None else f"{number:+.2f}x"


def _clock(time: str) -> str:
    return time.replace("T", " ").removesuffix("Z") + " UTC"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
