"""What is held: by us and by others."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.section import section, table
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node


def positions(scene: Scene) -> Node:
    """Return the positions of the account."""
    words = scene.words
    columns = [
        (words("symbol"), False),
        (words("side"), False),
        (words("lots"), True),
        (words("price"), True),
        (words("profit"), True),
        (words("stops"), True),
        (words("whose"), False),
    ]
    rows = [(str(each["position_id"]), _cells(scene, each)) for each in scene.known.get("positions", ())]
    return section(scene, "positions", table(scene, "positions", columns, rows, words("no_positions")))


def side(scene: Scene, name: str | None) -> Node:
    """Return buy or sell: in words, with a shape and a colour."""
    if name is None:
        return node("span", scene.words("unknown"), class_="unknown")
    return node("span", icon("up" if name == "buy" else "down"), scene.words.code("side", name), class_=f"side {name}")


def profit(scene: Scene, place: str, number: float | None) -> Node:
    """Return a profit with its sign."""
    look = "" if not number else "gain" if number > 0 else "loss"
    return scene.figure(place, number, formats.money(number, scene.currency, sign=True), scene.currency, class_=look)


def _cells(scene: Scene, each: dict[str, Any]) -> list[Node]:
    words, digits = scene.words, scene.of(each["symbol"]).get("digits")
    place = f"position:{each['position_id']}"
    stops = [
        node("span", words(name), " ", formats.price(each[key], digits))
        for key, name in (("stop_loss", "stop_loss"), ("take_profit", "take_profit"))
        if each[key] is not None
    ]
    return [
        node("b", each["symbol"] or words("unknown")),
        side(scene, each["side"]),
        scene.figure(f"{place}:lots", each["lots"], formats.lots(each["lots"])),
        scene.figure(f"{place}:price", each["price"], formats.price(each["price"], digits)),
        profit(scene, f"{place}:unrealised", each["unrealised"]),
        node("span", stops, class_="stops") if stops else node("span", words("none"), class_="calm"),
        node(
            "span",
            words("whose_ours") if each["ours"] else words("not_ours"),
            class_="ours" if each["ours"] else "theirs",
        ),
    ]
