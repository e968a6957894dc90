"""What has happened of late, newest first, by kind."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node
from bot.dashboard.words.events import event_detail, event_text

KINDS = ("all", "state", "order", "refused", "notice")
_PICTURES = {"state": "clock", "order": "diamond", "refused": "halt", "notice": "warning"}


def events(scene: Scene) -> Node:
    """Return the event log."""
    words = scene.words
    kinds = [
        node(
            "button",
            words.code("kind", kind),
            type="button",
            class_="filter",
            aria_pressed="true" if scene.events_shown == kind else "false",
            data_act=f"events:{kind}",
            data_testid=f"events:{kind}",
        )
        for kind in KINDS
    ]
    newest = [each for each in reversed(scene.known.get("events", ())) if scene.events_shown in ("all", each["kind"])]
    shown = node("ol", [_event(scene, each) for each in newest], class_="log", tabindex="0") if newest else None
    return section(
        scene,
        "events",
        shown or empty(words("no_events")),
        beside=node("div", kinds, class_="filters", role="group", aria_label=words("filter_events")),
    )


def _event(scene: Scene, each: dict[str, Any]) -> Node:
    words, kind = scene.words, each["kind"]
    symbol = node("b", each["symbol"]) if each["symbol"] not in (None, "*") else None
    detail = event_detail(each, words)
    return node(
        "li",
        scene.moment(each["time"], formats.clock(each["time"])),
        node("span", icon(_PICTURES.get(kind, "diamond")), words.code("kind", kind), class_=f"kind {kind}"),
        node(
            "span",
            symbol,
            " " if symbol else None,
            event_text(each, words),
            node("span", words("paper"), class_="tag") if each["paper"] else None,
            node("small", detail, class_="detail", lang="en") if detail else None,
            class_="text",
        ),
        key=str(each["number"]),
        data_testid=f"event:{each['number']}",
    )
