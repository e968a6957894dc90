"""What our orders cost, beside what was predicted: each fill, the means, and a picture of both."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.positions import side
from bot.dashboard.panels.section import section, table
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

SHOWN = 20
_WIDTH, _HEIGHT, _EDGE = 220, 150, 26


def fills(scene: Scene) -> Node:
    """Return the fills, newest first, and the slippage of the symbol that is shown."""
    words, newest = scene.words, list(reversed(scene.known.get("fills", ())))
    columns = [
        (words("time_utc"), False),
        (words("symbol"), False),
        (words("side"), False),
        (words("lots"), True),
        (words("price"), True),
        (words("predicted_bps"), True),
        (words("realised_bps"), True),
        (words("cause"), False),
    ]
    rows = [(str(each["deal_id"]), _cells(scene, each)) for each in newest[:SHOWN]]
    listed = table(scene, "fills", columns, rows, words("no_fills"))
    return section(scene, "fills", node("div", _means(scene), _picture(scene, newest), class_="slippage"), listed)


def _cells(scene: Scene, each: dict[str, Any]) -> list[Node]:
    words, spec, place = scene.words, scene.of(each["symbol"]), f"fill:{each['deal_id']}"
    unit = spec.get("lot_units")
    lots = each["volume_cents"] / 100 / unit if unit else None
    cause = words.code("fill_cause", each["cause"])
    return [
        scene.moment(each["time"], formats.clock(each["time"])),
        node("b", each["symbol"]),
        side(scene, each["side"]),
        scene.figure(f"{place}:lots", lots, formats.lots(lots)),
        node("span", formats.price(each["price"], spec.get("digits"))),
        _bps(scene, f"{place}:predicted_bps", each["predicted_bps"]),
        _bps(scene, f"{place}:realised_bps", each["realised_bps"]),
        node("span", words("on_paper", cause=cause) if each["paper"] else cause),
    ]


def _bps(scene: Scene, place: str, cost: float | None) -> Node:
    return scene.figure(place, cost, formats.fixed(cost, 2, sign=True))


def _means(scene: Scene) -> Node:
    words, each = scene.words, scene.shown
    means = (each or {}).get("slippage") or {"fills": 0}
    if each is None or not means["fills"]:
        return node("p", words("no_slippage"), class_="empty")
    place = f"{each['symbol']}:slippage"
    cells = [
        node(
            "div",
            node("div", words(label), class_="label"),
            _mean(scene, f"{place}:{name}", means[name]),
            class_="cell",
        )
        for name, label in (
            ("predicted_bps", "predicted_mean"),
            ("realised_bps", "realised_mean"),
            ("error_bps", "error_mean"),
        )
    ]
    title = words("slippage_of", symbol=each["symbol"], fills=means["fills"])
    return node(
        "div", node("h3", title), node("div", cells, class_="cells"), node("p", words("slippage_note"), class_="of")
    )


def _mean(scene: Scene, place: str, cost: float | None) -> Node:
    return scene.figure(place, cost, formats.fixed(cost, 2), scene.words("bps"))


def _picture(scene: Scene, newest: list[dict[str, Any]]) -> Node | None:
    """Return a point a fill, predicted across and realised up; above the line it cost more than predicted."""
    name = scene.shown["symbol"] if scene.shown else None
    points: list[tuple[float, float, str]] = [
        (each["predicted_bps"], each["realised_bps"], each["side"])
        for each in newest
        if each["symbol"] == name and each["predicted_bps"] is not None and each["realised_bps"] is not None
    ]
    if not points:
        return None
    low = min([0.0, *(min(p, r) for p, r, _ in points)])
    high = max([low + 1e-6, *(max(p, r) for p, r, _ in points)]) * 1.08
    room = high - low

    def x(cost: float) -> float:
        return _EDGE + (cost - low) / room * (_WIDTH - _EDGE - 6)

    def y(cost: float) -> float:
        return _HEIGHT - _EDGE - (cost - low) / room * (_HEIGHT - _EDGE - 6)

    dots = [_dot(x(p), y(r), kind) for p, r, kind in points]
    words = scene.words
    return node(
        "svg",
        node("line", x1=x(low), y1=y(low), x2=x(high), y2=y(high), class_="even"),
        node("line", x1=x(low), y1=y(low), x2=x(high), y2=y(low), class_="axis"),
        node("line", x1=x(low), y1=y(low), x2=x(low), y2=y(high), class_="axis"),
        dots,
        node("text", f"{high:.2f}", x=x(high), y=y(low) + 11, text_anchor="end"),
        node("text", words("predicted_axis"), x=(x(low) + x(high)) / 2, y=_HEIGHT - 3, text_anchor="middle"),
        node("text", f"{high:.2f}", x=x(low) - 3, y=y(high) + 9, text_anchor="end"),
        node("text", words("realised_axis"), x=x(low) + 5, y=y(high) + 9),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="scatter",
        role="img",
        aria_label=words("scatter_label", points=len(points)),
    )


def _dot(x: float, y: float, kind: str) -> Node:
    if kind == "buy":
        return node("path", d=f"M{x:.1f} {y - 4:.1f}l4 7h-8z", class_="dot buy")
    return node("path", d=f"M{x:.1f} {y + 4:.1f}l4 -7h-8z", class_="dot sell")
