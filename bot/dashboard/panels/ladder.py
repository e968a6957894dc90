"""The depth ladder: what rests at each price, asks above and bids below, with our own orders and fills on it."""

from datetime import datetime
from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

LEVELS = 10
_FILL_SHOWN_S = 30.0
"""A fill is marked on the ladder for so long."""


def ladder(scene: Scene) -> Node:
    """Return the ladder of the symbol that is shown."""
    words, each = scene.words, scene.shown
    if each is None:
        return section(scene, "ladder", empty(words("no_symbols")))
    title = words("ladder_of", symbol=each["symbol"])
    if each["is_spot_only"]:
        return section(scene, "ladder", empty(words("no_depth")), _touch(scene, each), title=title)
    if not each["bids"] and not each["asks"]:
        return section(scene, "ladder", empty(words("no_book")), _touch(scene, each), title=title)
    unit = each["lot_units"]
    sides = {
        "ask": _cumulated(each["asks"][:LEVELS], unit),
        "bid": _cumulated(each["bids"][:LEVELS], unit),
    }
    largest = max((size for rows in sides.values() for _, size, _ in rows), default=1.0) or 1.0
    orders, fills = _resting(scene, each), _filled(scene, each)
    # As many lines above the mid as below it: it stays where it is when one side thins out.
    rows = [_blank(i) for i in range(len(sides["bid"]) - len(sides["ask"]))]
    rows += [_row(each, "ask", row, largest, orders, fills) for row in reversed(sides["ask"])]
    rows.append(_spread_row(scene, each))
    rows += [_row(each, "bid", row, largest, orders, fills) for row in sides["bid"]]
    head = node(
        "tr",
        node("th", words("ours"), scope="col", class_="c-marks"),
        node("th", words("price"), scope="col", class_="number c-price"),
        node("th", words("lots"), scope="col", class_="number c-lots"),
        node("th", words("lots_to_here"), scope="col", class_="number c-whole"),
    )
    shown = node("table", node("thead", head), node("tbody", rows), class_="book")
    prices = {round(row[0], each["digits"]) for side in sides.values() for row in side}
    beyond = [
        node("li", mark, " ", formats.price(price, each["digits"]))
        for price, marks in orders.items()
        if price not in prices
        for mark in marks
    ]
    outside = node("div", words("outside"), node("ul", beyond), class_="outside") if beyond else None
    return section(scene, "ladder", shown, outside, title=title)


def _cumulated(levels: list[list[float]], lot_units: float) -> list[tuple[float, float, float]]:
    """Return (price, lots, lots from the best to here) a level."""
    rows, whole = [], 0.0
    for price, units in levels:
        whole += units / lot_units
        rows.append((price, units / lot_units, whole))
    return rows


def _resting(scene: Scene, each: dict[str, Any]) -> dict[float, list[Node]]:
    """Return our resting orders by price: a diamond, the side, what is left of it."""
    marks: dict[float, list[Node]] = {}
    for order in scene.known["orders"]:
        if order["symbol"] == each["symbol"] and order["resting"] and order["limit_price"] is not None:
            left = (order["volume_cents"] - order["executed_cents"]) / 100 / each["lot_units"]
            mark = _mark(scene, "order", order["side"], left)
            marks.setdefault(round(order["limit_price"], each["digits"]), []).append(mark)
    return marks


def _filled(scene: Scene, each: dict[str, Any]) -> dict[float, list[Node]]:
    """Return our fills of the last half minute by price: a triangle, the side, the lots of all of them."""
    now_s, sums = _seconds(scene.known["time"]), {}  # type: ignore[var-annotated]
    for fill in scene.known["fills"]:
        if fill["symbol"] == each["symbol"] and fill["is_own"] and now_s - _seconds(fill["time"]) <= _FILL_SHOWN_S:
            key = round(fill["price"], each["digits"]), fill["side"]
            sums[key] = sums.get(key, 0.0) + fill["volume_cents"] / 100 / each["lot_units"]
    marks: dict[float, list[Node]] = {}
    for (price, side), lots in sums.items():
        marks.setdefault(price, []).append(_mark(scene, "fill", side, lots))
    return marks


def _mark(scene: Scene, kind: str, side: str, lots: float) -> Node:
    words = scene.words
    picture = "diamond" if kind == "order" else "up" if side == "buy" else "down"
    text = words("rests", side=words.code("side", side), lots=formats.lots(lots))
    what = words("mark_order") if kind == "order" else words("mark_fill")
    heard = node("span", what, class_="heard")
    return node("span", icon(picture), text, heard, class_=f"mark {kind} {side}", title=f"{what}: {text}")


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _row(
    each: dict[str, Any],
    side: str,
    row: tuple[float, float, float],
    largest: float,
    orders: dict[float, list[Node]],
    fills: dict[float, list[Node]],
) -> Node:
    price, size, whole = row
    key = round(price, each["digits"])
    return node(
        "tr",
        node("td", orders.get(key), fills.get(key), class_="marks"),
        node("td", formats.price(price, each["digits"]), class_=f"number price {side}"),
        node(
            "td",
            node("span", class_=f"size {side}", style=f"width:{size / largest:.1%}", aria_hidden="true"),
            node("span", formats.lots(size), class_="lots"),
            class_="number sized",
        ),
        node("td", formats.lots(whole), class_="number"),
        key=f"{side}{price}",
        class_=side,
        data_testid=f"level:{side}:{price}",
    )


def _blank(number: int) -> Node:
    return node("tr", node("td", colspan=4), key=f"blank{number}", aria_hidden="true")


def _spread_row(scene: Scene, each: dict[str, Any]) -> Node:
    pips = None if each["bid"] is None else (each["ask"] - each["bid"]) / each["pip"]
    text = scene.words("spread_line", pips=formats.fixed(pips, 1) or scene.words("unknown"))
    mid = formats.price(each["mid"], each["digits"] + 1) or scene.words("unknown")
    return node(
        "tr",
        node("td", node("span", scene.words("asks_above"), class_="heard")),
        node("td", mid, class_="number mid"),
        node("td", text, colspan=2, class_="spread"),
        key="spread",
        class_="middle",
    )


def _touch(scene: Scene, each: dict[str, Any]) -> Node:
    """Return bid and ask of the spot prices, where there is no book."""
    words, name = scene.words, each["symbol"]
    sides = [
        node(
            "div",
            node("span", words(side), class_="label"),
            scene.figure(f"{name}:{side}", each[side], formats.price(each[side], each["digits"])),
            class_=f"cell {side}",
        )
        for side in ("bid", "ask")
    ]
    return node("div", sides, class_="cells touch")
