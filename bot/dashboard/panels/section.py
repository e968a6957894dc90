"""The frame that every panel has: a title, what stands beside it, and what to say when there is nothing to show."""

from bot.dashboard.panels.icon import icon
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node


def section(scene: Scene, name: str, *content: Node | None, beside: Node | None = None, title: str = "") -> Node:
    """Return a panel. Args: `name` the key of its title; `beside` what stands at the end of the title's line."""
    return node(
        "section",
        title_line(scene, title or scene.words(name), beside),
        *content,
        class_=f"panel {name}",
        data_testid=f"panel:{name}",
    )


def title_line(scene: Scene, title: str, beside: Node | None = None) -> Node:
    """Return a panel's title; the browser shows the tag beside it when what the panel says is old."""
    old = node("span", icon("clock"), scene.words("old_tag"), class_="old-tag")
    return node("div", node("h2", title), old, beside, class_="title")


def empty(text: str) -> Node:
    """Return what stands in a panel that has nothing to show."""
    return node("p", text, class_="empty")


def table(
    scene: Scene, name: str, columns: list[tuple[str, bool]], rows: list[tuple[str, list[Node]]], none: str
) -> Node:
    """Return a table that scrolls sideways within itself where the screen is narrow.

    Args: `columns` title and whether it holds numbers; `rows` a key that stays the same while a row is shown, and its
        cells; `none` what to say without rows.
    """
    if not rows:
        # That there is nothing is known only once the account is.
        return empty(none if scene.known.get("balance") is not None else scene.words("nothing_yet"))
    head = node(
        "tr", [node("th", title, scope="col", class_="number" if is_number else None) for title, is_number in columns]
    )
    body = [
        node(
            "tr",
            [
                node("td", cell, class_="number" if is_number else None)
                for cell, (_, is_number) in zip(cells, columns, strict=True)
            ],
            key=key,
        )
        for key, cells in rows
    ]
    caption = node("caption", scene.words(name), class_="heard")
    shown = node("table", caption, node("thead", head), node("tbody", body))
    return node("div", shown, class_="scroll", tabindex="0", role="region", aria_label=scene.words(name))
