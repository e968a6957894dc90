"""The paper venue of a dry run: what a real one would have answered, filled against the live book.

It walks the book as it stands, charges nothing but the spread and the depth it eats, and does not change the book. A
market-range order takes only levels inside its range and loses the rest, as the venue cancels it.

A limit order rests. Whenever its symbol's book has changed, `match` fills it at its own price with what the levels that
reach that price hold; the same display is not taken twice, only what is added to it. That is neither the best nor the
worst case: a real order has a place in a queue, which no feed of this venue tells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from bot.account.position import Deal, Position
from bot.execution.orders import OrderSnapshot
from bot.execution.paper_protection import PaperProtection
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder, ProtectPosition
from bot.market.book import ASK, BID, BookArrays, levels
from bot.market.symbols import SymbolSpec

# Ids of paper positions, orders and deals: far above any the venue gives out, so that the two never meet.
_FIRST_PAPER_ID = 1 << 62


@dataclass(frozen=True, slots=True)
class PaperReport:
    """One thing the paper venue says: `kind` as of `ExecutionReported`, its order, and a deal when something filled.

    A refused amend is of kind `amend_rejected`, which the real venue tells by an error. A change of an order that is
    gone has no order to show. `position` is there where its protection has changed, and what a protective leg closes
    has no client order id.
    """

    kind: str
    client_order_id: str | None
    order: OrderSnapshot | None
    deal: Deal | None = None
    error_code: str | None = None
    position: Position | None = None


@dataclass(slots=True)
class _Resting:
    """A limit order in the paper book. `taken_cents` is what it has had of the levels that reach it now."""

    request: PlaceOrder
    spec: SymbolSpec
    order_id: int
    position_id: int
    volume_cents: int  # signed
    limit_price: float
    executed_cents: int = 0
    taken_cents: int = 0

    def snapshot(self, status: str, now_ns: int, position: Position | None = None) -> OrderSnapshot:
        return OrderSnapshot(
            order_id=self.order_id,
            symbol_id=self.spec.symbol_id,
            volume_cents=self.volume_cents,
            executed_cents=self.executed_cents,
            order_type="limit",
            status=status,
            client_order_id=self.request.client_order_id,
            position_id=self.position_id if position is None else position.position_id,
            label=self.request.label,
            closing=self.request.position_id is not None,
            limit_price=self.limit_price,
            execution_price=self.limit_price if self.executed_cents else None,
            updated_ns=now_ns,
        )


class PaperVenue:
    """Fills orders on paper.

    Args: `find_position` returns an open position by id; `quote_rate` the rate of a symbol's quote currency into the
        deposit currency (NaN when unknown); `money_digits` of the account; `merged` the position of a symbol that a
        netted account lets every fill of a resting order merge into, None on a hedged one; `find_order` somebody else's
        order that rests at the real venue, by id: a dry run changes it on paper alone; `find_left` one of ours there,
        left by an earlier run: it may be cancelled on paper, and then another takes its place here.
    """

    def __init__(
        self,
        find_position: Callable[[int], Position | None],
        quote_rate: Callable[[int], float],
        money_digits: int = 2,
        merged: Callable[[int], Position | None] = lambda symbol_id: None,
        find_order: Callable[[int], OrderSnapshot | None] = lambda order_id: None,
        find_left: Callable[[int], OrderSnapshot | None] = lambda order_id: None,
    ) -> None:
        self._find_position = find_position
        self._quote_rate = quote_rate
        self._cent = Decimal(1).scaleb(-money_digits)
        self._merged = merged
        self._find_order, self._find_left = find_order, find_left
        self._resting: dict[int, _Resting] = {}
        self._protection = PaperProtection()
        self._next_id = _FIRST_PAPER_ID

    def execute(
        self, request: PlaceOrder | ClosePosition, spec: SymbolSpec, books: BookArrays, symbol_index: int, now_ns: int
    ) -> list[PaperReport]:
        """Return what the venue would report: acceptance, then a fill, a part of one, or a cancellation."""
        if isinstance(request, PlaceOrder) and request.order_type in ("stop", "stop_limit"):
            return [self._refused(request, self._take_id(), spec, "TRADING_NOT_ALLOWED")]  # never sent in a dry run
        if isinstance(request, PlaceOrder) and request.order_type == "limit":
            return self._rest(request, spec, books, symbol_index, now_ns)
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
        legs = None if position or deal is None else self._protection.opened(request, spec, deal)
        if filled == asked:
            done = snapshot("filled", filled)
            reports.append(PaperReport("filled", request.client_order_id, done, deal, position=legs))
        else:
            if deal is not None:
                part = snapshot("accepted", filled)
                reports.append(PaperReport("partially_filled", request.client_order_id, part, deal, position=legs))
            reports.append(PaperReport("cancelled", request.client_order_id, snapshot("cancelled", filled)))
        return reports

    # -- protection ---------------------------------------------------------------------------------------------

    def protect(
        self, request: ProtectPosition, spec: SymbolSpec, books: BookArrays, symbol_index: int
    ) -> list[PaperReport]:
        """Set both protective legs of a position, as the venue does: what is left out is removed."""
        placed = self._protection.set(request, self._find_position(request.position_id), spec, books, symbol_index)
        if isinstance(placed, str):
            return [PaperReport("amend_rejected", request.client_order_id, None, error_code=placed)]
        return [PaperReport("replaced", request.client_order_id, None, position=placed)]

    def _exits(
        self, books: BookArrays, index: Mapping[int, int], specs: Sequence[SymbolSpec], now_ns: int
    ) -> list[PaperReport]:
        """Close what a protective leg of has been reached, against the books of this moment."""
        reports: list[PaperReport] = []
        for position in self._protection.reached(self._find_position, books, index):
            s, signed = index[position.symbol_id], -position.volume_cents
            request = ClosePosition("", position.symbol_id, position.position_id, abs(signed))
            filled, price = self._walk(request, specs[s], books, s, signed)
            if filled:  # else there is nothing to close against: it acts on a later change
                order = self._protection.exit_order(self._take_id(), position, filled, price, now_ns)
                ids = order.order_id, position.position_id
                deal = self._deal(specs[s], s, *ids, position, signed, filled, price, now_ns)
                kind = "filled" if order.status == "filled" else "partially_filled"
                reports.append(PaperReport(kind, None, order, deal))
        return reports

    # -- orders that rest ---------------------------------------------------------------------------------------

    def match(
        self, books: BookArrays, index: Mapping[int, int], now_ns: int, specs: Sequence[SymbolSpec] = ()
    ) -> list[PaperReport]:
        """Fill what the books of this moment reach: protective legs, then what rests, oldest order first.

        Args: `index` maps the id of each symbol whose book has changed to its place in the books, and in `specs`.
        """
        reports = self._exits(books, index, specs, now_ns)
        for order in list(self._resting.values()):
            if order.spec.symbol_id in index:
                reports += self._match(order, books, index[order.spec.symbol_id], now_ns)
        return reports

    def amend(self, request: AmendOrder, books: BookArrays, symbol_index: int, now_ns: int) -> list[PaperReport]:
        """Change a resting order; it may fill at once at its new price."""
        order, theirs = self._resting.get(request.order_id), self._find_order(request.order_id)
        if theirs is not None and request.volume_cents > theirs.executed_cents:
            volume = request.volume_cents if theirs.volume_cents > 0 else -request.volume_cents
            changed = replace(theirs, volume_cents=volume, updated_ns=now_ns)
            return [PaperReport("replaced", request.client_order_id, changed)]
        if order is None or request.volume_cents <= order.executed_cents or request.limit_price is None:
            code = "ORDER_NOT_FOUND" if order is None else "TRADING_BAD_VOLUME"
            return [PaperReport("amend_rejected", request.client_order_id, None, error_code=code)]
        order.volume_cents = request.volume_cents if order.volume_cents > 0 else -request.volume_cents
        if request.limit_price != order.limit_price:
            order.limit_price, order.taken_cents = request.limit_price, 0
        replaced = PaperReport("replaced", order.request.client_order_id, order.snapshot("accepted", now_ns))
        return [replaced, *self._match(order, books, symbol_index, now_ns)]

    def cancel(self, request: CancelOrder, now_ns: int) -> list[PaperReport]:
        """Take a resting order out of the paper book."""
        order = self._resting.pop(request.order_id, None)
        real = self._find_order(request.order_id) or self._find_left(request.order_id)
        if real is not None:
            gone = replace(real, status="cancelled", updated_ns=now_ns)
            return [PaperReport("cancelled", request.client_order_id, gone)]
        if order is None:
            return [PaperReport("cancel_rejected", request.client_order_id, None, error_code="ORDER_NOT_FOUND")]
        return [PaperReport("cancelled", order.request.client_order_id, order.snapshot("cancelled", now_ns))]

    def _rest(
        self, request: PlaceOrder, spec: SymbolSpec, books: BookArrays, symbol_index: int, now_ns: int
    ) -> list[PaperReport]:
        order_id = self._take_id()
        if request.limit_price is None:
            return [self._refused(request, order_id, spec, "TRADING_BAD_PRICES")]
        if request.position_id is not None and self._find_position(request.position_id) is None:
            return [self._refused(request, order_id, spec, "POSITION_NOT_FOUND")]
        position_id = request.position_id if request.position_id is not None else self._take_id()
        order = _Resting(request, spec, order_id, position_id, request.volume_cents, request.limit_price)
        self._resting[order_id] = order
        accepted = PaperReport("accepted", request.client_order_id, order.snapshot("accepted", now_ns))
        return [accepted, *self._match(order, books, symbol_index, now_ns)]

    def _match(self, order: _Resting, books: BookArrays, symbol_index: int, now_ns: int) -> list[PaperReport]:
        client_order_id, spec = order.request.client_order_id, order.spec
        position = self._find_position(order.position_id)
        left = abs(order.volume_cents) - order.executed_cents
        if order.request.position_id is not None:
            if position is None or position.volume_cents * order.volume_cents > 0:
                # What it was to close is gone, and the order with it.
                del self._resting[order.order_id]
                return [PaperReport("cancelled", client_order_id, order.snapshot("cancelled", now_ns))]
            left = min(left, abs(position.volume_cents))
        else:
            position = self._merged(spec.symbol_id) or position
        buying = order.volume_cents > 0
        side, head = ASK if buying else BID, books.heads[symbol_index]
        prices_e5, sizes_cents = levels(books, side, symbol_index)
        if not head["level_count"].any() and head["spot_known"][side]:
            # No depth at all: as for a market order, the spot price holds for everything.
            prices_e5, sizes_cents = head["spot_e5"][side : side + 1].copy(), np.array([left + order.taken_cents])
        limit_e5 = order.limit_price * 1e5
        reaching = prices_e5 <= limit_e5 + 1e-3 if buying else prices_e5 >= limit_e5 - 1e-3
        shown = int(sizes_cents[reaching].sum())
        if shown == 0:
            order.taken_cents = 0
            return []
        filled = min(left, max(shown - order.taken_cents, 0))
        if filled < left:
            filled -= filled % spec.step_volume_cents
        if filled == 0:
            return []
        order.taken_cents += filled
        order.executed_cents += filled
        deal = self._deal(
            spec,
            symbol_index,
            order.order_id,
            order.position_id if position is None else position.position_id,
            position,
            order.volume_cents,
            filled,
            order.limit_price,
            now_ns,
        )
        legs = None if position is not None else self._protection.opened(order.request, spec, deal)
        kind = "filled" if order.executed_cents == abs(order.volume_cents) else "partially_filled"
        if kind == "filled":
            del self._resting[order.order_id]
        snapshot = order.snapshot("filled" if kind == "filled" else "accepted", now_ns, position)
        return [PaperReport(kind, client_order_id, snapshot, deal, position=legs)]

    # -- deals --------------------------------------------------------------------------------------------------

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _walk(
        self, request: PlaceOrder | ClosePosition, spec: SymbolSpec, books: BookArrays, s: int, signed: int
    ) -> tuple[int, float]:
        """Return how much fills, on the volume grid, and its average price rounded to the symbol's digits.

        Where the venue sends no depth at all, nobody knows better than that the spot price holds for everything.
        """
        side, head = ASK if signed > 0 else BID, books.heads[s]
        prices_e5, sizes_cents = levels(books, side, s)
        if not head["level_count"].any() and head["spot_known"][side]:
            prices_e5, sizes_cents = head["spot_e5"][side : side + 1].copy(), np.array([abs(signed)])
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
