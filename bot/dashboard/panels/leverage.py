"""Why a symbol's size is what it is: four bars, the sum from the base to what is held, and the same in words."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node
from bot.dashboard.words.leverage import CRISIS_LEAVES, doubled, near, sentences

_BARS = (("wanted", "wanted"), ("goal", "allowed"), ("target", "target"), ("now", "held"))


def leverage(scene: Scene) -> Node:
    """Return the panel of the symbol that is shown."""
    words, each = scene.words, scene.shown
    if each is None:
        return section(scene, "leverage", empty(words("no_symbols")))
    title = words("leverage_of", symbol=each["symbol"])
    direction = words.code("direction", each["direction"])
    beside = node("span", direction, class_="tag", data_testid="direction")
    said = node(
        "ul", [node("li", text) for text in sentences(each, words, scene.known)], class_="said", data_testid="why"
    )
    what_if = node("p", doubled(each, words, scene.known), class_="what-if", data_testid="if_spread_doubles")
    if each["leverage_base"] is None:
        return section(scene, "leverage", _bars(scene, each), said, title=title, beside=beside)
    return section(
        scene, "leverage", _bars(scene, each), said, what_if, _steps(scene, each), title=title, beside=beside
    )


def _bars(scene: Scene, each: dict[str, Any]) -> Node:
    words, base = scene.words, each["leverage_base"]
    sizes = {name: each[f"leverage_{name}"] for name, _ in _BARS}
    known = [size for size in sizes.values() if size is not None]
    is_mixed = any(size > 0 for size in known) and any(size < 0 for size in known)
    whole = max([abs(size) for size in known] + [base or 0.0]) * 1.04 or 1.0
    cap = each["cap"]
    rows = [
        node(
            "div",
            node("span", words(label), class_="label", title=words(f"{label}_title")),
            node("div", _bar(sizes[name], whole, is_mixed, label), _rule(base, whole, is_mixed), class_="track"),
            scene.figure(f"{each['symbol']}:leverage_{name}", sizes[name], formats.leverage(sizes[name]), words("x")),
            class_="row",
        )
        for name, label in _BARS
    ]
    legend = [words("base_unknown" if base is None else "base_mark", base=formats.leverage(base, sign=False))]
    if cap is not None:
        bound = words.code("bound", each["cap_bound"]) if each["cap_bound"] else words("unknown")
        legend.append(words("cap_mark", cap=formats.leverage(cap, sign=False), bound=bound))
    return node("div", rows, node("div", " · ".join(legend), class_="of"), class_="bars")


def _bar(size: float | None, whole: float, is_mixed: bool, label: str) -> Node | None:
    if size is None:
        return None
    width, start = abs(size) / whole, 0.0
    if is_mixed:
        width /= 2
        start = 0.5 if size > 0 else 0.5 - width
    return node("div", class_=f"bar {label}", style=f"left:{start:.2%};width:{width:.2%}")


def _rule(base: float | None, whole: float, is_mixed: bool) -> list[Node]:
    if is_mixed:
        return [node("div", class_="rule zero", style="left:50%")]
    return [] if base is None else [node("div", class_="rule base", style=f"left:{base / whole:.2%}")]


def _steps(scene: Scene, each: dict[str, Any]) -> Node:
    """Return the sum: each step, what it does, and what is left after it."""
    words = scene.words
    base = each["leverage_base"]
    side = -1.0 if (each["leverage_wanted"] or each["leverage_goal"] or 0.0) < 0 else 1.0
    left: float | None = base
    steps: list[tuple[str, str, float | None, str]] = [(words("base"), "", base, "")]
    for name, factor in each["factors"].items():
        left = None if left is None or factor is None else left * abs(factor)
        text = words("unknown") if factor is None else f"× {formats.fixed(factor, 2)}"
        look = "" if factor is None else "less" if factor < 0.98 else "more" if factor > 1.02 else ""
        steps.append((words.code("factor", name), text, left, look))
    wanted, goal, target, held = (each[f"leverage_{name}"] for name, _ in _BARS)
    steps.append((words("wanted"), "", _along(wanted, side), "sum"))
    cap = each["cap"]
    binds = cap is not None and wanted is not None and abs(wanted) > cap
    if cap is not None:
        steps.append((words("cap"), f"≤ {formats.leverage(cap, sign=False)}", None, "less" if binds else ""))
    level = each["crisis_level"]
    if level:
        steps.append((words("crisis"), f"× {CRISIS_LEAVES[min(level, 3)]:g}", None, "less"))
    steps.append((words("allowed"), "", _along(goal, side), "sum"))
    waits = each["bound"] if goal is not None and target is not None and not near(goal, target, base) else None
    steps.append((words("target"), words("waits") if waits else "", _along(target, side), "sum"))
    steps.append((words("held"), "", _along(held, side), "sum"))
    whole = max([abs(size) for *_, size, _ in steps if size is not None] + [1e-9])
    rows = [
        node(
            "tr",
            node("th", label, scope="row"),
            node("td", text, class_=f"number {look}"),
            node("td", _written(scene, size, side, look), class_="number"),
            node("td", _step_bar(size, whole, look), class_="drawn", aria_hidden="true"),
            class_=look or None,
        )
        for label, text, size, look in steps
    ]
    head = node(
        "tr",
        node("th", words("step"), scope="col"),
        node("th", words("effect"), scope="col", class_="number"),
        node("th", words("left"), scope="col", class_="number"),
        node("th", ""),
    )
    return node("table", node("thead", head), node("tbody", rows), class_="steps")


def _along(size: float | None, side: float) -> float | None:
    return None if size is None else size * side


def _written(scene: Scene, size: float | None, side: float, look: str) -> str:
    if size is None:
        return scene.words("unknown") if look == "sum" else ""
    return f"{formats.leverage(size * side)}{scene.words('x')}"


def _step_bar(size: float | None, whole: float, look: str) -> Node | None:
    if size is None:
        return None
    return node("div", class_=f"bar {look or 'part'}", style=f"width:{min(abs(size) / whole, 1.0):.2%}")
