"""The paper venue of a dry run: what a real one would have answered, filled against the live book.

It walks the book as it stands, charges nothing but the spread and the depth it eats, and does not change the book. A
market-range order takes only levels inside its range and loses the rest, as the venue cancels it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from bot.account.position import Deal, Position
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.market.book import ASK, BID, BookArrays, levels
from bot.market.symbols import SymbolSpec

# Ids of paper positions, orders and deals: far above any the venue gives out, so that the two never meet.
_FIRST_PAPER_ID = 1 << 62


@dataclass(frozen=True, slots=True)
class PaperReport:
    """One thing the paper venue says: `kind` as of `ExecutionReported`, its order, and a deal when something filled."""

    kind: str
    client_order_id: str
    order: OrderSnapshot
    deal: Deal | None = None
    error_code: str | None = None


class PaperVenue:
    """Fills orders on paper.

    Args: `find_position` returns an open position by id; `quote_rate` the rate of a symbol's quote currency into the
        deposit currency (NaN when unknown); `money_digits` of the account.
    """

    def __init__(
        self,
        find_position: Callable[[int], Position | None],
        quote_rate: Callable[[int], float],
        money_digits: int = 2,
    ) -> None:
        self._find_position = find_position
        self._quote_rate = quote_rate
        self._cent = Decimal(1).scaleb(-money_digits)
        self._next_id = _FIRST_PAPER_ID

    def execute(
        self, request: PlaceOrder | ClosePosition, spec: SymbolSpec, books: BookArrays, symbol_index: int, now_ns: int
    ) -> list[PaperReport]:
        """Return what the venue would report: acceptance, then a fill, a part of one, or a cancellation."""
        closing = isinstance(request, ClosePosition)
        position = self._find_position(request.position_id) if request.position_id is not None else None
        order_id = self._take_id()
        if isinstance(request, ClosePosition):
            if position is None or abs(position.volume_cents) < request.volume_cents:
                return [self._refused(request, order_id, spec, "POSITION_NOT_FOUND")]
            signed = -request.volume_cents if position.volume_cents > 0 else request.volume_cents
        else:
            signed = request.volume_cents
        asked = abs(signed)
        filled, price = self._walk(request, spec, books, symbol_index, signed)

        def snapshot(status: str, executed: int) -> OrderSnapshot:
            return OrderSnapshot(
                order_id=order_id,
                symbol_id=spec.symbol_id,
                volume_cents=signed,
                executed_cents=executed,
                order_type="market" if isinstance(request, ClosePosition) else request.order_type,
                status=status,
                client_order_id=request.client_order_id,
                position_id=position_id,
                label=position.label if position else getattr(request, "label", ""),
                closing=closing,
                execution_price=price if executed else None,
                updated_ns=now_ns,
            )

        position_id = position.position_id if position else self._take_id()
        reports = [PaperReport("accepted", request.client_order_id, snapshot("accepted", 0))]
        deal = None
        if filled:
            deal = self._deal(spec, symbol_index, order_id, position_id, position, signed, filled, price, now_ns)
        if filled == asked:
            reports.append(PaperReport("filled", request.client_order_id, snapshot("filled", filled), deal))
        else:
            if deal is not None:
                part = snapshot("accepted", filled)
                reports.append(PaperReport("partially_filled", request.client_order_id, part, deal))
            reports.append(PaperReport("cancelled", request.client_order_id, snapshot("cancelled", filled)))
        return reports

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _walk(
        self, request: PlaceOrder | ClosePosition, spec: SymbolSpec, books: BookArrays, s: int, signed: int
    ) -> tuple[int, float]:
        """Return how much fills, on the volume grid, and its average price rounded to the symbol's digits."""
        prices_e5, sizes_cents = levels(books, ASK if signed > 0 else BID, s)
        if isinstance(request, PlaceOrder) and request.base_price is not None and request.slippage_points is not None:
            reach = request.slippage_points * 10.0**-spec.digits
            # Book prices are whole 1/100000; a bound between two of them keeps out the farther one.
            worst_e5 = (request.base_price + (reach if signed > 0 else -reach)) * 1e5
            inside = prices_e5 <= worst_e5 + 1e-3 if signed > 0 else prices_e5 >= worst_e5 - 1e-3
            prices_e5, sizes_cents = prices_e5[inside], sizes_cents[inside]
        asked = abs(signed)
        before = np.cumsum(sizes_cents) - sizes_cents
        taken = np.clip(asked - before, 0, sizes_cents)
        filled = int(taken.sum())
        if filled < asked:
            filled -= filled % spec.step_volume_cents
            taken = np.clip(filled - before, 0, sizes_cents)
        if filled == 0:
            return 0, float("nan")
        vwap = sum(int(p) * int(q) for p, q in zip(prices_e5, taken, strict=True)) / filled / 1e5
        return filled, spec.round_price(vwap)

    def _deal(
        self,
        spec: SymbolSpec,
        symbol_index: int,
        order_id: int,
        position_id: int,
        position: Position | None,
        signed: int,
        filled: int,
        price: float,
        now_ns: int,
    ) -> Deal:
        volume = filled if signed > 0 else -filled
        profit, closed = None, 0
        if position is not None and position.volume_cents * volume < 0:
            closed = min(filled, abs(position.volume_cents))
            side = 1 if position.volume_cents > 0 else -1
            gross = side * (price - position.price) * closed / 100 * self._quote_rate(symbol_index)
            # An unknown rate books no profit: the position's own loss was in equity until now, so say nothing worse.
            profit = Decimal(repr(gross)).quantize(self._cent, ROUND_HALF_EVEN) if gross == gross else Decimal(0)
        return Deal(
            deal_id=self._take_id(),
            order_id=order_id,
            position_id=position_id,
            symbol_id=spec.symbol_id,
            volume_cents=volume,
            price=price,
            commission=Decimal(0),
            executed_ns=now_ns,
            closed_volume_cents=closed,
            gross_profit=profit,
            paper=True,
        )

    def _refused(
        self, request: PlaceOrder | ClosePosition, order_id: int, spec: SymbolSpec, error_code: str
    ) -> PaperReport:
        order = OrderSnapshot(
            order_id=order_id,
            symbol_id=spec.symbol_id,
            volume_cents=request.volume_cents,
            executed_cents=0,
            order_type="market",
            status="rejected",
            client_order_id=request.client_order_id,
            position_id=request.position_id,
        )
        return PaperReport("rejected", request.client_order_id, order, error_code=error_code)
