"""What has happened of late, newest first, by kind; all that befell one order in one place."""

from itertools import groupby
from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node
from bot.dashboard.words.catalogue import Words
from bot.dashboard.words.events import event_detail, event_text, event_why

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
    told = _folded([e for e in scene.known.get("events", ()) if scene.events_shown in ("all", e["kind"])])
    shown = node("ol", [_event(scene, *each) for each in told], class_="log", tabindex="0") if told else None
    return section(
        scene,
        "events",
        shown or empty(words("no_events" if scene.snapshot is not None else "nothing_yet")),
        beside=node("div", kinds, class_="filters", role="group", aria_label=words("filter_events")),
    )


def _folded(oldest_first: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[str]]]:
    """Return the events, newest first, one of each order: its newest, and the states that it has gone through."""
    told: list[tuple[dict[str, Any], list[str]]] = []
    orders: dict[tuple[str, str], list[str]] = {}
    for each in reversed(oldest_first):
        if each["kind"] != "order":
            told.append((each, []))
            continue
        key = each["client_order_id"], each["action"]
        if key not in orders:
            orders[key] = []
            told.append((each, orders[key]))
        orders[key].insert(0, each["code"])
    return told


def _way(states: list[str], words: Words) -> list[str]:
    """Return the states in words; one that comes again and again, as of a quote that is moved, once with its count."""
    runs = [(state, len(list(same))) for state, same in groupby(states)]
    return [words.code("state", state) + (f" ×{count}" if count > 1 else "") for state, count in runs]


def _event(scene: Scene, each: dict[str, Any], states: list[str]) -> Node:
    words, kind = scene.words, each["kind"]
    way = " → ".join(_way(states, words)) if len(states) > 1 else None
    symbol = node("b", each["symbol"]) if each["symbol"] not in (None, "*") else None
    why, detail = event_why(each, words), event_detail(each, words)
    return node(
        "li",
        scene.moment(each["time"], formats.clock(each["time"])),
        node("span", icon(_PICTURES.get(kind, "diamond")), words.code("kind", kind), class_=f"kind {kind}"),
        node(
            "span",
            symbol,
            " " if symbol else None,
            event_text(each, words, scene.of(each["symbol"]).get("digits")),
            node("span", words("paper"), class_="tag") if each["paper"] else None,
            node("small", way, class_="detail") if way else None,
            node("small", why, class_="detail") if why else None,
            node("small", detail, class_="detail", lang="en") if detail else None,
            class_="text",
        ),
        key=f"{each['client_order_id']}:{each['action']}" if kind == "order" else str(each["number"]),
        data_testid=f"event:{each['number']}",
    )
