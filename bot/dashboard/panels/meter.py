"""How much of a limit is used: a bar, its numbers beside it, and a word once it is close."""

from bot.dashboard.panels.icon import icon
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

CLOSE = 0.75
"""From this share of a limit on, it is said to be close."""


def meter(scene: Scene, label: str, used: float | None, limit: float | None, shown: Node, of: str | None) -> Node:
    """Return a limit and its use. Args: `shown` the use as a figure, `of` the limit as text; units are theirs."""
    share = None if used is None or not limit else used / limit
    level = "unknown" if share is None else "over" if share >= 1 else "close" if share >= CLOSE else "fine"
    note = None
    if level in ("over", "close"):
        note = node("span", icon("warning"), scene.words(f"limit_{level}"), class_=f"note {level}")
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
