"""A small line of how a figure went of late; the numbers beside it say the rest."""

from collections.abc import Sequence

from bot.dashboard.tree import Node, node

WIDTH, HEIGHT = 120, 28
_POINTS = 120


def spark(values: Sequence[float | None], usual: float | None = None) -> Node:
    """Return a line of the newest values, gaps where they are unknown; `usual` as a dashed line across."""
    shown = list(values)[-_POINTS:]
    known = [each for each in shown if each is not None]
    picture = [] if len(known) < 2 else _lines(shown, known, usual)
    box = f"0 0 {WIDTH} {HEIGHT}"
    return node("svg", picture, class_="spark", viewBox=box, preserveAspectRatio="none", aria_hidden="true")


def _lines(shown: list[float | None], known: list[float], usual: float | None) -> list[Node]:
    low, high = min(known), max(known)
    if usual is not None:
        low, high = min(low, usual), max(high, usual)
    room = (high - low) or max(abs(high), 1e-9)
    middle = (high + low) / 2

    def y(level: float) -> str:
        return f"{HEIGHT / 2 - (level - middle) / room * (HEIGHT - 4):.1f}"

    def x(i: int) -> str:
        return f"{i * WIDTH / max(len(shown) - 1, 1):.1f}"

    pieces: list[list[str]] = [[]]
    for i, each in enumerate(shown):
        if each is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{x(i)},{y(each)}")
    lines = [
        node("polyline", points=" ".join(piece), class_="line", vector_effect="non-scaling-stroke")
        for piece in pieces
        if len(piece) > 1
    ]
    if usual is None:
        return lines
    level = node("line", x1=0, x2=WIDTH, y1=y(usual), y2=y(usual), class_="usual", vector_effect="non-scaling-stroke")
    return [level, *lines]
