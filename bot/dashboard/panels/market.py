"""What the bot measures of a symbol's market: each figure with its unit, its line of late, and what is usual."""

from typing import Any

from bot.dashboard import formats
from bot.dashboard.panels.section import empty, section
from bot.dashboard.panels.spark import spark
from bot.dashboard.scene import Scene
from bot.dashboard.trail import dearer
from bot.dashboard.tree import Node, node

_POINTS = 240


def market(scene: Scene) -> Node:
    """Return the figures of the symbol that is shown."""
    words, each = scene.words, scene.shown
    if each is None:
        return section(scene, "market", empty(words("no_symbols")))
    impact = dearer(each["buy_impact_bps"], each["sell_impact_bps"])
    bps = words("bps")
    cells = [
        _cell(scene, each, "spread_bps", each["spread_bps"], 2, bps, usual=each["usual_spread_bps"]),
        _cell(scene, each, "liquidity_ratio", each["liquidity_ratio"], 2, words("of_usual"), usual=1.0),
        _cell(scene, each, "impact_bps", impact, 2, bps, usual=each["usual_impact_bps"]),
        _cell(scene, each, "obi", each["obi"], 2, words("balance_unit"), usual=0.0, sign=True),
        _cell(scene, each, "ofi", each["ofi"], 2, words("touch_sizes"), usual=0.0, sign=True),
        _volatility(scene, each),
    ]
    return section(scene, "market", node("div", cells, class_="cells"), title=words("market_of", symbol=each["symbol"]))


def _cell(
    scene: Scene,
    each: dict[str, Any],
    name: str,
    now: float | None,
    digits: int,
    unit: str,
    *,
    usual: float | None,
    sign: bool = False,
) -> Node:
    words, symbol = scene.words, each["symbol"]
    shown = scene.figure(f"{symbol}:{name}", now, formats.fixed(now, digits, sign=sign), unit)
    return node(
        "div",
        node("div", words(name), class_="label", title=words(f"{name}_title")),
        shown,
        spark(scene.trail.line(symbol, name, _POINTS), usual),
        node("div", _beside(scene, name, now, usual, digits), class_="of"),
        class_="cell",
    )


def _beside(scene: Scene, name: str, now: float | None, usual: float | None, digits: int) -> str:
    """Return what to compare with, and what a sign means."""
    words = scene.words
    if now is None:
        return words("not_measured")
    if name == "liquidity_ratio":
        return words("thinner" if now < 0.95 else "deeper" if now > 1.05 else "as_usual")
    if name in ("obi", "ofi"):
        lean = "even" if abs(now) < 0.1 else "more_bids" if now > 0 else "more_asks"
        return words(lean if name == "obi" else f"flow_{lean}")
    return words("usual", usual=formats.fixed(usual, digits) or words("unknown"))


def _volatility(scene: Scene, each: dict[str, Any]) -> Node:
    words, now, usual = scene.words, each["volatility_bps"], each["usual_volatility_bps"]
    return node(
        "div",
        node("div", words("volatility"), class_="label", title=words("volatility_title")),
        scene.figure(f"{each['symbol']}:volatility_bps", now, formats.fixed(now, 2), words("bps_root_s")),
        node("div", words("usual", usual=formats.fixed(usual, 2) or words("unknown")), class_="of"),
        node(
            "div",
            words("depth_near"),
            " ",
            _depth(scene, each, "bid"),
            " / ",
            _depth(scene, each, "ask"),
            " ",
            words("lots_unit"),
            class_="of",
        ),
        class_="cell",
    )


def _depth(scene: Scene, each: dict[str, Any], side: str) -> Node:
    units = each[f"{side}_depth_units"]
    lots = None if units is None else units / each["lot_units"]
    return scene.figure(f"{each['symbol']}:{side}_depth_lots", lots, formats.lots(lots), class_=side)
