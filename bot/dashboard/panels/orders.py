"""Our orders without a final state: resting in the book, on their way, or of unknown outcome."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.positions import side
from bot.dashboard.panels.section import section, table
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node


def orders(scene: Scene) -> Node:
    """Return the open orders."""
    words = scene.words
    columns = [
        (words("symbol"), False),
        (words("side"), False),
        (words("lots"), True),
        (words("filled"), True),
        (words("limit_price"), True),
        (words("order_type"), False),
        (words("order_state"), False),
        (words("order_age"), True),
    ]
    rows = [(each["client_order_id"], _cells(scene, each)) for each in scene.known.get("orders", ())]
    return section(scene, "orders", table(scene, "orders", columns, rows, words("no_orders")))


def _cells(scene: Scene, each: dict[str, Any]) -> list[Node]:
    words, spec = scene.words, scene.of(each["symbol"])
    unit, digits = spec.get("lot_units"), spec.get("digits")
    lots, executed = ((each[key] / 100 / unit if unit else None) for key in ("volume_cents", "executed_cents"))
    place = f"order:{each['client_order_id']}"
    kind = words.code("order_type", each["order_type"]) if each["order_type"] else words("unknown")
    return [
        node("b", each["symbol"] or words("unknown")),
        side(scene, each["side"]),
        scene.figure(f"{place}:lots", lots, formats.lots(lots)),
        scene.figure(f"{place}:executed", executed, formats.lots(executed)),
        node("span", formats.price(each["limit_price"], digits) or words("none")),
        node("span", kind),
        _state(scene, each),
        scene.figure(f"{place}:age_s", each["age_s"], words.span(each["age_s"])),
    ]


def _state(scene: Scene, each: dict[str, Any]) -> Node:
    words, state = scene.words, each["state"]
    is_unknown = state == "unknown"
    text = words.code("state", state)
    if each["resting"] and state in ("accepted", "partially_filled", "replaced"):
        text = words("resting", state=text)
    picture = icon("warning") if is_unknown else icon("diamond") if each["resting"] else icon("clock")
    return node("span", picture, text, class_="bad" if is_unknown else None, data_value=state)
