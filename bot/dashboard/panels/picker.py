"""The traded symbols beside each other: what each costs now, how ill it is, and how much of it is held and wanted."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.section import empty
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

LEVELS = 3
"""The worst crisis level."""


def picker(scene: Scene) -> Node:
    """Return a button a symbol; the one that is shown in detail is pressed."""
    cards = [_card(scene, each) for each in scene.traded]
    if not cards:
        return node("div", empty(scene.words("no_symbols")), class_="picker")
    return node("div", cards, class_="picker", role="group", aria_label=scene.words("symbols"))


def _card(scene: Scene, each: dict[str, Any]) -> Node:
    words, name = scene.words, each["symbol"]
    is_shown = scene.shown is not None and scene.shown["symbol"] == name
    held = each["leverage_now"]
    spread = each["spread_bps"]
    return node(
        "button",
        node(
            "span",
            node("b", name, title=name),
            node("span", formats.price(each["mid"], each["digits"] + 1) or words("unknown"), class_="mid"),
            class_="line",
        ),
        node(
            "span",
            scene.figure(f"card:{name}:spread_bps", spread, formats.fixed(spread, 2), words("bps")),
            crisis(scene, each),
            class_="line",
        ),
        node("span", _bar(each), class_="mini", aria_hidden="true"),
        node(
            "span",
            node("span", words("holds_short"), " ", formats.leverage(held) or words("unknown"), _x(scene, held)),
            node(
                "span",
                words("allowed_short"),
                " ",
                formats.leverage(each["leverage_goal"]) or words("unknown"),
                _x(scene, each["leverage_goal"]),
            ),
            class_="line small",
        ),
        type="button",
        class_="card",
        key=name,
        aria_pressed="true" if is_shown else "false",
        data_act=f"symbol:{name}",
        data_testid=f"symbol:{name}",
    )


def _x(scene: Scene, number: float | None) -> str:
    return "" if number is None else scene.words("x")


def crisis(scene: Scene, each: dict[str, Any]) -> Node:
    """Return a symbol's crisis level: as many filled boxes, and the number."""
    level = each["crisis_level"]
    boxes = [node("span", class_="box full" if i < level else "box") for i in range(LEVELS)]
    text = scene.words("crisis_level", level=level, worst=LEVELS)
    return node(
        "span",
        node("span", boxes, class_="boxes", aria_hidden="true"),
        text if level else scene.words("calm"),
        class_=f"crisis level{level}",
        title=text,
        data_testid=f"value:card:{each['symbol']}:crisis_level",
        data_value=str(level),
    )


def _bar(each: dict[str, Any]) -> list[Node]:
    """Return what is held, filled, and what is allowed and wanted, as marks, of the base or more."""
    sizes = {name: abs(each[f"leverage_{name}"] or 0.0) for name in ("now", "goal", "wanted", "base")}
    whole = max(sizes.values()) or 1.0
    return [
        node("span", class_="held", style=f"width:{sizes['now'] / whole:.2%}"),
        node("span", class_="mark allowed", style=f"left:{sizes['goal'] / whole:.2%}"),
        node("span", class_="mark wanted", style=f"left:{sizes['wanted'] / whole:.2%}"),
    ]
