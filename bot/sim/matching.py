"""How far an order may reach into the book, and when a resting one may act.

Fills walk the venue's own book (`VenueBook.walk`): what is beyond the book is not filled. Resting orders act on the
changes of their symbol: limits when the book reaches their price, stops when the spot price does.
"""

from decimal import Decimal

from bot.market.symbols import SymbolSpec
from bot.sim.book import VenueBook
from bot.sim.entities import SimOrder, SimPosition

_USES_OPPOSITE = ("OPPOSITE", "DOUBLE_OPPOSITE")


def reach(order: SimOrder, spec: SymbolSpec) -> Decimal | None:
    """Return the worst price an order accepts; None when any will do.

    Market-range: base +/- slippage points of 10^-digits; stop-limit: the same around the stop price.
    """
    slippage = Decimal(order.slippage_points or 0).scaleb(-spec.digits)
    sign = 1 if order.is_buy else -1
    if order.order_type == "LIMIT":
        return order.limit_price
    if order.order_type == "MARKET_RANGE" and order.base_price is not None:
        return order.base_price + sign * slippage
    if order.order_type == "STOP_LIMIT" and order.stop_price is not None:
        return order.stop_price + sign * slippage
    return None


def is_triggered(order: SimOrder, book: VenueBook) -> bool:
    """Tell whether a stop order's price is reached: a buy stop by the ask, a sell stop by the bid (method TRADE).

    The OPPOSITE methods look at the other side. The DOUBLE methods, which want a second tick, act on the first here.
    """
    uses_ask = order.is_buy != (order.trigger_method in _USES_OPPOSITE)
    price_e5 = book.ask_e5 if uses_ask else book.bid_e5
    if price_e5 is None or order.stop_price is None:
        return False
    stop_e5 = order.stop_price * 100_000
    return price_e5 >= stop_e5 if order.is_buy else price_e5 <= stop_e5


def protection_hit(position: SimPosition, book: VenueBook) -> bool:
    """Tell whether a position's stop loss or take profit is reached: a long's by the bid, a short's by the ask."""
    price_e5 = book.bid_e5 if position.is_buy else book.ask_e5
    if price_e5 is None:
        return False
    sign = 1 if position.is_buy else -1
    stop, target = position.stop_loss, position.take_profit
    return (stop is not None and sign * (price_e5 - stop * 100_000) <= 0) or (
        target is not None and sign * (price_e5 - target * 100_000) >= 0
    )


def trailed_stop(position: SimPosition, book: VenueBook, spec: SymbolSpec) -> Decimal | None:
    """Return a trailing stop's better price, rounded to the symbol's digits; None when it does not move."""
    price_e5 = book.bid_e5 if position.is_buy else book.ask_e5
    if price_e5 is None or position.trailing_distance is None or position.stop_loss is None:
        return None
    sign = 1 if position.is_buy else -1
    wanted = round(Decimal(price_e5) / 100_000 - sign * position.trailing_distance, spec.digits)
    return wanted if sign * (wanted - position.stop_loss) > 0 else None
