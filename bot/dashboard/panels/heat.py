"""The heat map's data: books over time as short columns of numbers, and what is marked on them."""

from typing import Any

from bot.dashboard.panels.section import empty, title_line
from bot.dashboard.scene import Scene
from bot.dashboard.trail import Moment, time_ms_of
from bot.dashboard.tree import Node, node

COLUMNS = 600
"""So many moments are drawn."""
_LABELS = ("heat_legend", "heat_bid", "heat_ask", "heat_gap", "heat_empty", "heat_label", "lots_unit", "heat_order_buy")
_MARKS = ("heat_order_sell", "heat_fill_buy", "heat_fill_sell", "time_utc")


def title(scene: Scene) -> Node:
    """Return the title of the map, and what to say where there is nothing to draw."""
    words, each = scene.words, scene.shown
    if each is None:
        return node("div", title_line(scene, words("heat")), empty(words("no_symbols")))
    return node("div", title_line(scene, words("heat_of", symbol=each["symbol"])))


def columns(scene: Scene, symbol: str, most: int = COLUMNS) -> list[list[Any]]:
    """Return the newest moments: [ms, bid, ask, [price, lots, …], [price, lots, …], [side, price, …]].

    Units: prices in the last digit of the symbol, whole numbers; lots with three decimals, with six below 1.
    """
    each = scene.of(symbol)
    if not each:
        return []
    scale, lot = 10 ** each["digits"], each["lot_units"]
    return [_column(moment, scale, lot) for moment in scene.trail.moments(symbol, most)]


def _column(moment: Moment, scale: int, lot_units: float) -> list[Any]:
    def levels(flat: Any) -> list[float]:
        return [_lots(number / lot_units) if i % 2 else round(number * scale) for i, number in enumerate(flat)]

    def tick(price: float | None) -> float | None:
        return None if price is None else round(price * scale)

    resting = [round(number * scale) if i % 2 else round(number) for i, number in enumerate(moment.resting)]
    return [moment.time_ms, tick(moment.bid), tick(moment.ask), levels(moment.bids), levels(moment.asks), resting]


def _lots(number: float) -> float:
    return round(number, 3 if number >= 1 else 6)


def marks(scene: Scene, symbol: str) -> list[list[Any]]:
    """Return the fills of a symbol: [deal id as text, ms, side (+1, -1), price in the last digit, lots]."""
    each = scene.of(symbol)
    if not each:
        return []
    scale, lot = 10 ** each["digits"], each["lot_units"]
    return [
        [
            str(fill["deal_id"]),
            time_ms_of(fill["time"]),
            1 if fill["side"] == "buy" else -1,
            round(fill["price"] * scale, 1),
            fill["volume_cents"] / 100 / lot,
        ]
        for fill in scene.known.get("fills", ())
        if fill["symbol"] == symbol
    ]


def setup(scene: Scene, symbol: str) -> dict[str, Any]:
    """Return what is drawn alike for all columns: digits and words."""
    words = scene.words
    return {
        "symbol": symbol,
        "digits": scene.of(symbol).get("digits", 5),
        "words": {name: words.template(name) for name in (*_LABELS, *_MARKS)},
    }
