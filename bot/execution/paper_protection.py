"""Protective legs on paper: which positions have them, and when the spot price reaches one.

A long's stop and target act on the bid, a short's on the ask, as at the venue (trigger method TRADE); an increase in
place leaves them where they are. They fill at what the book gives then, which may be worse than the leg.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from bot.account.position import Deal, Position
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import ClosePosition, PlaceOrder, ProtectPosition
from bot.market.book import ASK, BID, BookArrays
from bot.market.symbols import E5, SymbolSpec

_NOISE = 1e-9  # of a price that was divided


class PaperProtection:
    """Stop loss and take profit by position id. Units: prices in quote currency."""

    def __init__(self) -> None:
        self._legs: dict[int, tuple[float | None, float | None]] = {}

    def opened(self, request: PlaceOrder | ClosePosition, spec: SymbolSpec, deal: Deal) -> Position | None:
        """Take a position that a deal has opened; return it with the legs that its order asked for, None without any.

        Source: ProtoOANewOrderReq.relativeStopLoss, relativeTakeProfit: distances from the fill.
        """
        if not isinstance(request, PlaceOrder) or deal.closed_volume_cents:
            return None
        stop_e5, profit_e5 = request.relative_stop_loss_e5, request.relative_take_profit_e5
        if stop_e5 is None and profit_e5 is None:
            return None
        side = 1 if deal.volume_cents > 0 else -1
        stop = None if stop_e5 is None else spec.round_price(deal.price - side * stop_e5 / E5)
        profit = None if profit_e5 is None else spec.round_price(deal.price + side * profit_e5 / E5)
        self._legs[deal.position_id] = stop, profit
        return Position(
            deal.position_id, deal.symbol_id, deal.volume_cents, deal.price, request.label,
            stop_loss=stop, take_profit=profit,
        )  # fmt: skip

    def set(
        self,
        request: ProtectPosition,
        position: Position | None,
        spec: SymbolSpec,
        books: BookArrays,
        symbol_index: int,
    ) -> Position | str:
        """Set both legs of a position; return it with them, or the code of a refusal."""
        if position is None:
            return "POSITION_NOT_FOUND"
        side, market = (1 if position.volume_cents > 0 else -1), _spot(books, symbol_index, position.volume_cents)
        stop, profit = request.stop_loss, request.take_profit
        is_bad_stop = stop is not None and side * (market - stop) < spec.point / 2
        if is_bad_stop or (profit is not None and side * (profit - market) < spec.point / 2):
            return "TRADING_BAD_STOPS"
        self._legs[position.position_id] = stop, profit
        return replace(position, stop_loss=stop, take_profit=profit)

    def reached(
        self, find_position: Callable[[int], Position | None], books: BookArrays, index: Mapping[int, int]
    ) -> list[Position]:
        """Return the positions of which a leg is reached, and forget those that are gone.

        Args: `index` maps the id of each symbol that has changed to its place in the books. An unknown price reaches
            nothing.
        """
        found: list[Position] = []
        for position_id, (stop, profit) in list(self._legs.items()):
            position = find_position(position_id)
            if position is None:
                del self._legs[position_id]
            elif position.symbol_id in index:
                side = 1 if position.volume_cents > 0 else -1
                market = _spot(books, index[position.symbol_id], position.volume_cents)
                if (stop is not None and side * (market - stop) <= _NOISE) or (
                    profit is not None and side * (market - profit) >= -_NOISE
                ):
                    found.append(position)
        return found

    def exit_order(
        self, order_id: int, position: Position, filled_cents: int, price: float, now_ns: int
    ) -> OrderSnapshot:
        """Return the venue's own order that has closed a position, or what the book gave of it.

        Source: ProtoOAOrderType STOP_LOSS_TAKE_PROFIT, which the server makes.
        """
        whole = abs(position.volume_cents)
        if filled_cents == whole:
            self._legs.pop(position.position_id, None)
        return OrderSnapshot(
            order_id=order_id,
            symbol_id=position.symbol_id,
            volume_cents=-position.volume_cents,
            executed_cents=filled_cents,
            order_type="stop_loss_take_profit",
            status="filled" if filled_cents == whole else "cancelled",
            position_id=position.position_id,
            label=position.label,
            closing=True,
            execution_price=price,
            updated_ns=now_ns,
        )


def _spot(books: BookArrays, symbol_index: int, volume_cents: int) -> float:
    """Return the spot price that a position would be closed at, a long at the bid; NaN unknown."""
    head, side = books.heads[symbol_index], BID if volume_cents > 0 else ASK
    return float(head["spot_e5"][side]) / E5 if head["spot_known"][side] else math.nan
