"""Where in a recording the page stands: the recorded time, and how much of it there is."""

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

SPEEDS = (1.0, 2.0, 5.0, 10.0, 60.0)


def playback(scene: Scene, place: int, count: int) -> Node:
    """Return play or pause, the speeds, and the time at the slider's place."""
    words = scene.words
    time = scene.known.get("time")
    is_on = scene.playing
    button = node(
        "button",
        icon("pause" if is_on else "play"),
        words("pause") if is_on else words("play"),
        type="button",
        class_="command play",
        disabled=count < 2,
        data_act="play:off" if is_on else "play:on",
        data_testid="play",
    )
    speeds = [
        node(
            "button",
            f"{speed:g}×",
            type="button",
            class_="filter",
            aria_pressed="true" if scene.speed == speed else "false",
            data_act=f"speed:{speed:g}",
        )
        for speed in SPEEDS
    ]
    return node(
        "div",
        button,
        node("div", speeds, class_="filters", role="group", aria_label=words("speed")),
        node(
            "span",
            node("span", words("recorded_time"), class_="label"),
            scene.moment(time, words("utc", time=formats.day_and_clock(time) or words("unknown"))),
            data_testid="recorded_time",
            data_value=time or "",
        ),
        node("span", words("place", place=place + 1 if count else 0, count=count), class_="of", data_testid="place"),
        class_="playback",
    )
