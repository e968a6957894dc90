"""Pieces of the page as plain data, and the element that shows them.

How it works: a panel is a pure function that returns nodes, so that what the page says can be tested without a browser.
A `Tree` sends them as JSON, and the browser's Vue changes only what differs from what it shows already. Texts are set
as texts, never read as HTML.

Invariant: no node carries code: tags and attributes that could are refused here and left out in `tree.js`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

Node = Any
"""A text, or [tag, {attribute: text}, [nodes]]."""

_SVG = frozenset({"svg", "g", "path", "polyline", "line", "rect", "circle", "text", "title"})
_HTML = frozenset(
    {
        *("a", "aside", "b", "button", "caption", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "header", "li"),
        *("main", "nav", "ol", "p", "s", "section", "small", "span", "strong", "table", "tbody", "td", "th", "thead"),
        *("time", "tr", "ul"),
    }
)


def node(tag: str, *children: Node | None, **attributes: str | float | bool | None) -> Node:
    """Return one element.

    Args: `children` nodes, texts, or lists of them; None is left out. `attributes` as HTML has them, with `_` for `-`
        and one at the end where Python keeps the word (`class_`); None and False are left out.
    Raises: ValueError for a tag or an attribute that could run code.
    """
    if tag not in _HTML and tag not in _SVG:
        raise ValueError(f"the page has no {tag} element")
    shown: dict[str, str] = {}
    for name, content in attributes.items():
        if content is None or content is False:
            continue
        plain = name.rstrip("_")
        key = plain if plain in ("viewBox", "preserveAspectRatio") else plain.replace("_", "-")
        if key.startswith("on") or key in ("innerHTML", "textContent", "srcdoc"):
            raise ValueError(f"the page sets no {key}")
        if key == "href" and not str(content).startswith(("?", "#")):
            raise ValueError(f"the page links to nothing but itself, not to {content}")
        shown[key] = "" if content is True else str(content)
    return [tag, shown, list(_flat(children))]


def _flat(children: Iterable[Node | None]) -> Iterable[Node]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, list | tuple) and not is_element(child):
            yield from _flat(child)
        else:
            yield child


def is_element(child: Node) -> bool:
    """Return whether it is an element, and not a text or a list of nodes."""
    return isinstance(child, list) and len(child) == 3 and isinstance(child[0], str) and isinstance(child[1], dict)


def text_of(tree: Node) -> str:
    """Return all text in it, as a reader would hear it: for tests and for labels."""
    if isinstance(tree, str):
        return tree
    return " ".join(part for child in tree[2] if (part := text_of(child).strip()))


def found(tree: Node, **attributes: str) -> list[Node]:
    """Return the elements that have all these attributes, in the order of the page."""
    if isinstance(tree, str):
        return []
    wanted = {name.rstrip("_").replace("_", "-"): content for name, content in attributes.items()}
    own = [tree] if all(tree[1].get(name) == content for name, content in wanted.items()) else []
    return own + [each for child in tree[2] for each in found(child, **attributes)]


class Tree(Element, component="tree.js"):
    """Shows nodes. A button with `data-act` calls `on_act` with what it says there."""

    def __init__(self, on_act: Callable[[str], Any] | None = None) -> None:
        super().__init__()
        self.shown: Node = None
        if on_act is not None:
            self.on("act", lambda event: _heard(on_act, event))

    def show(self, tree: Node) -> None:
        """Show this from now on; nothing is sent when it is what is shown."""
        if tree != self.shown:
            self.shown = tree
            # In a tuple, because NiceGUI would make every list and dict below a list observable: most of a look's time.
            self._props["tree"] = (tree,)


def _heard(on_act: Callable[[str], Any], event: GenericEventArguments) -> None:
    # What comes from a browser is whatever somebody sends.
    if isinstance(event.args, str):
        on_act(event.args)
