"""How much of a limit is used: a bar, its numbers beside it, and a word once it is close."""

from bot.dashboard.panels.icon import icon
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

CLOSE = 0.75
"""From this share of a limit on, it is said to be close."""


def meter(
    scene: Scene,
    label: str,
    used: float | None,
    limit: float | None,
    shown: Node,
    of: str | None,
    *,
    is_pace: bool = False,
) -> Node:
    """Return a limit and its use.

    Args: `shown` the use as a figure, `of` the limit as text; units are theirs. `is_pace` for a limit that is met in
        the course of things and only delays what follows: reaching it is no alarm, and being close to it no news.
    """
    share = None if used is None or not limit else used / limit
    level = "unknown" if share is None else "over" if share >= 1 else "close" if share >= CLOSE else "fine"
    note = None
    if is_pace:
        note = noted(scene, "close", "limit_pace", "clock", title="limit_pace_title") if level == "over" else None
        level = "close" if level == "over" else "unknown" if share is None else "fine"
    elif level in ("over", "close"):
        note = noted(scene, level, f"limit_{level}")
    filled = 0.0 if share is None else min(max(share, 0.0), 1.0)
    return node(
        "div",
        node("div", label, class_="label"),
        node(
            "div", shown, node("span", scene.words("of_limit", limit=of or scene.words("unknown")), class_="of"), note
        ),
        node("div", node("div", class_=f"fill {level}", style=f"width:{filled:.2%}"), class_="meter"),
        class_="cell limit",
    )


def noted(scene: Scene, level: str, key: str, picture: str = "warning", title: str = "") -> Node:
    """Return a word of warning beside a figure.

    Args: `level` its colour, `close` or `over`; `key` what it says; `title` the key of what it means.
    """
    return node(
        "span",
        icon(picture),
        scene.words(key),
        class_=f"note {level}",
        title=scene.words(title) if title else None,
    )
