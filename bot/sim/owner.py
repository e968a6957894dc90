"""The account's owner, who trades by hand in the broker's platform while clients are connected.

How it works: what the owner does goes the way of any client's request, without label, client order id or message id,
and every link of the account hears of it. The platform shows a refusal to the owner: here it is raised.
"""

from typing import TYPE_CHECKING, Any

from bot.ctrader.schema import enum, message
from bot.sim import wire
from bot.sim.entities import OrderRefused

if TYPE_CHECKING:
    from bot.sim.venue import Venue


class Owner:
    """Trades, closes, rests, amends, protects and cancels on the accounts of a venue."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue

    def trade(self, account_id: int, symbol_id: int, side: str, volume_cents: int) -> None:
        """Send a market order. `side`: buy or sell, in any case of letters.

        Raises: OrderRefused, as a client would be; ValueError for another side.
        """
        if side.lower() not in ("buy", "sell"):
            raise ValueError(f"a side is buy or sell, not {side!r}")
        request = message("ProtoOANewOrderReq")(
            ctidTraderAccountId=account_id,
            symbolId=symbol_id,
            orderType=enum("ProtoOAOrderType")["MARKET"],
            tradeSide=wire.side_number(side.lower() == "buy"),
            volume=volume_cents,
        )
        venue = self._venue
        venue.desk(account_id).place(request, venue.now_ns, venue.teller(account_id))

    def rest(
        self, account_id: int, symbol_id: int, order_type: str, side: str, volume_cents: int, **fields: Any
    ) -> int:
        """Place an order that rests, and return its id; 0 for one that has filled at once.

        Args: `order_type` a name of ProtoOAOrderType; `fields` of ProtoOANewOrderReq, such as limitPrice.
        Raises: OrderRefused, as a client would be.
        """
        venue = self._venue
        desk = venue.desk(account_id)
        before = set(desk.account.orders)
        request = message("ProtoOANewOrderReq")(
            ctidTraderAccountId=account_id,
            symbolId=symbol_id,
            orderType=enum("ProtoOAOrderType")[order_type.upper()],
            tradeSide=wire.side_number(side.lower() == "buy"),
            volume=volume_cents,
            **fields,
        )
        desk.place(request, venue.now_ns, venue.teller(account_id))
        return max(set(desk.account.orders) - before, default=0)

    def amend(self, order_id: int, **fields: Any) -> None:
        """Change a working order of any account. Args: `fields` of ProtoOAAmendOrderReq.

        Raises: OrderRefused (ORDER_NOT_FOUND, …).
        """
        account_id = self._account_of(order_id)
        venue = self._venue
        request = message("ProtoOAAmendOrderReq")(ctidTraderAccountId=account_id, orderId=order_id, **fields)
        venue.desk(account_id).amend_order(request, venue.now_ns, venue.teller(account_id))

    def close(self, account_id: int, position_id: int | None, volume_cents: int | None) -> None:
        """Close a position, or some of it; None closes all positions, or the whole.

        Raises: OrderRefused; with None for the position, the first refusal, after all were tried.
        """
        venue = self._venue
        desk = venue.desk(account_id)
        chosen = list(desk.account.positions) if position_id is None else [position_id]
        refusals = []
        for number in chosen:
            held = desk.account.positions.get(number)
            volume = volume_cents if volume_cents is not None else held.volume_cents if held is not None else 0
            request = message("ProtoOAClosePositionReq")(
                ctidTraderAccountId=account_id, positionId=number, volume=volume
            )
            try:
                desk.close(request, venue.now_ns, venue.teller(account_id))
            except OrderRefused as refused:
                refusals.append(refused)
        if refusals:
            raise refusals[0]

    def protect(self, account_id: int, position_id: int, **fields: Any) -> None:
        """Set the protection of a position. Args: `fields` of ProtoOAAmendPositionSLTPReq: a leg left out is removed.

        Raises: OrderRefused (POSITION_NOT_FOUND, …).
        """
        request = message("ProtoOAAmendPositionSLTPReq")(
            ctidTraderAccountId=account_id, positionId=position_id, **fields
        )
        venue = self._venue
        venue.desk(account_id).amend_position(request, venue.now_ns, venue.teller(account_id))

    def cancel(self, order_id: int) -> None:
        """Cancel a working order of any account.

        Raises: OrderRefused (ORDER_NOT_FOUND, …).
        """
        account_id = self._account_of(order_id)
        venue = self._venue
        request = message("ProtoOACancelOrderReq")(ctidTraderAccountId=account_id, orderId=order_id)
        venue.desk(account_id).cancel(request, venue.now_ns, venue.teller(account_id))

    def _account_of(self, order_id: int) -> int:
        for account_id, desk in self._venue.desks.items():
            if order_id in desk.account.orders:
                return account_id
        raise OrderRefused("ORDER_NOT_FOUND", f"no working order {order_id}", order_id=order_id)
