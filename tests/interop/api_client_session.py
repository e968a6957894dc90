"""A whole session with `ctrader-api-client`. Run by its test in an environment that has it; not a test.

How it works: the first line of standard input is the ready line of `microlev sim`; SSL_CERT_FILE names its `ca_file`.
After each step it prints one JSON line of what the client saw and waits for a line (or the end) of standard input, so
that the venue can be looked at meanwhile. The last line is the step "done", or "error" with the client's own words.
"""

import asyncio
import json
import os
import sys
import time
from decimal import Decimal

from ctrader_api_client import AccountCredentials, ClientConfig, CTraderClient
from ctrader_api_client.enums import ExecutionType, OrderSide, OrderType
from ctrader_api_client.events import DepthEvent, ExecutionEvent, SpotEvent
from ctrader_api_client.exceptions import APIError, CTraderError
from ctrader_api_client.models.requests import (
    AmendOrderRequest,
    AmendPositionRequest,
    ClosePositionRequest,
    NewOrderRequest,
)


class Session:
    def __init__(self, ready):
        self.ready = ready
        self.account_id = ready["accounts"][0]["id"]
        self.symbol = next(s for s in ready["symbols"] if s["name"] == "EURUSD")
        self.least = self.symbol["min_volume_cents"]
        self.volume = 3 * self.least
        self.spots, self.book, self.executions = {"bids": [], "asks": []}, {}, []
        self.changed = asyncio.Event()
        self.client = CTraderClient(
            ClientConfig(
                host=ready["host"],
                port=ready["port"],
                client_id=ready["client_id"],
                client_secret=ready["client_secret"],
                request_timeout=20.0,
                reconnect_attempts=0,
            )
        )
        self.client.on(SpotEvent)(self.on_spot)
        self.client.on(DepthEvent)(self.on_depth)
        self.client.on(ExecutionEvent)(self.on_execution)

    async def on_spot(self, event):
        if event.bid is not None:
            self.spots["bids"].append(int(event.bid * 100_000))
        if event.ask is not None:
            self.spots["asks"].append(int(event.ask * 100_000))
        self.changed.set()

    async def on_depth(self, event):
        for quote_id in event.deleted_quote_ids:
            self.book.pop(quote_id, None)
        for quote in event.new_quotes:
            side = "bid" if quote.is_bid else "ask"
            self.book[quote.quote_id] = [quote.quote_id, side, quote.price, quote.size]
        self.changed.set()

    async def on_execution(self, event):
        self.executions.append(event)
        self.changed.set()

    async def until(self, predicate):
        async with asyncio.timeout(20):
            while not (found := predicate()):
                self.changed.clear()
                await self.changed.wait()
        return found

    async def execution(self, kind, *, since=0, **of):
        def find():
            for event in self.executions[since:]:
                if event.execution_type is kind and all(getattr(event.order, k) == v for k, v in of.items()):
                    return event
            return None

        return await self.until(find)

    async def step(self, name, **saw):
        print(json.dumps({"step": name, **saw}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    async def log_in(self):
        await self.step("application")  # the client has sent the application auth while it connected
        listed = await self.client.accounts.list_by_token(self.ready["access_token"])
        await self.step("accounts", accounts=[account.account_id for account in listed])
        await self.client.auth.authenticate_trader(
            AccountCredentials(
                account_id=self.account_id,
                access_token=self.ready["access_token"],
                refresh_token=self.ready["refresh_token"],
                expires_at=time.time() + 86_400,
            )
        )
        trader = await self.client.accounts.get_trader(self.account_id)
        await self.step("account", balance=float(trader.balance))

    async def watch(self):
        listed = await self.client.symbols.list_all(self.account_id)
        full = await self.client.symbols.get_by_ids(self.account_id, [entry.symbol_id for entry in listed])
        digits = {entry.symbol_id: entry.digits for entry in full}
        await self.step("symbols", symbols=[[s.symbol_id, s.name, digits[s.symbol_id]] for s in listed])
        await self.client.market_data.subscribe_spots(self.account_id, [self.symbol["id"]])
        await self.until(lambda: len(self.spots["bids"]) > 1 and len(self.spots["asks"]) > 1)
        await self.step("spots", **self.spots)
        await self.client.market_data.subscribe_depth(self.account_id, [self.symbol["id"]])
        await self.until(lambda: len(self.book) >= 10)
        await self.step("depth", quotes=list(self.book.values()))

    def new_order(self, order_type, **fields):
        return NewOrderRequest(
            symbol_id=self.symbol["id"], side=OrderSide.BUY, order_type=order_type, label="api-client", **fields
        )

    async def reconcile(self):
        # get_pending_orders asks for the order list: this client reads only the positions of a reconcile.
        positions = await self.client.trading.get_open_positions(self.account_id)
        orders = [o for o in await self.client.trading.get_pending_orders(self.account_id) if o.limit_price]
        await self.step(
            "reconcile",
            positions=[[p.position_id, p.volume] for p in positions],
            orders=[[o.order_id, o.volume, float(o.limit_price)] for o in orders],
        )

    async def trade(self):
        trading, account_id = self.client.trading, self.account_id
        own_id = f"api-client-{os.getpid()}"
        await trading.place_order(
            account_id, self.new_order(OrderType.MARKET, volume=self.volume, client_order_id=own_id)
        )
        filled = await self.execution(ExecutionType.ORDER_FILLED, client_order_id=own_id)
        position_id = filled.position.position_id
        await self.step(
            "market_order",
            order_id=filled.order.order_id,
            position_id=position_id,
            volume_cents=filled.deal.filled_volume,
            price=float(filled.deal.execution_price),
            client_order_id=filled.order.client_order_id,
        )
        low, high = (round(filled.deal.execution_price * Decimal(factor), 5) for factor in ("0.9", "1.1"))
        order = (
            await trading.place_order(account_id, self.new_order(OrderType.LIMIT, volume=self.volume, limit_price=low))
        ).order
        await self.step(
            "limit_order", order_id=order.order_id, volume_cents=order.volume, price=float(order.limit_price)
        )
        amend = AmendOrderRequest(
            order_id=order.order_id,
            volume=self.volume + self.symbol["step_volume_cents"],
            limit_price=low + Decimal("0.01"),
        )
        order = (await trading.amend_order(account_id, amend)).order
        await self.step(
            "amend_order", order_id=order.order_id, volume_cents=order.volume, price=float(order.limit_price)
        )
        await self.reconcile()
        cancelled = await trading.cancel_order(account_id, order.order_id)
        await self.step("cancel_order", order_id=cancelled.order.order_id)
        held = (
            await trading.amend_position(
                account_id, AmendPositionRequest(position_id=position_id, stop_loss=low, take_profit=high)
            )
        ).position
        await self.step(
            "amend_position",
            position_id=held.position_id,
            stop_loss=float(held.stop_loss),
            take_profit=float(held.take_profit),
        )
        try:
            await trading.place_order(account_id, self.new_order(OrderType.MARKET, volume=self.least + 1))
            await self.step("refused_order", text="")
        except APIError as error:
            await self.step("refused_order", text=str(error))
        for name, cents in (("partial_close", self.least), ("close", self.volume - self.least)):
            since = len(self.executions)
            await trading.close_position(account_id, ClosePositionRequest(position_id=position_id, volume=cents))
            event = await self.execution(ExecutionType.ORDER_FILLED, since=since, position_id=position_id)
            detail = event.deal.close_detail
            await self.step(
                name, position_id=position_id, volume_cents=detail.closed_volume, balance=float(detail.balance)
            )
        await self.reconcile()


async def main():
    session = Session(json.loads(sys.stdin.readline()))
    try:
        async with session.client:
            await session.log_in()
            await session.watch()
            await session.trade()
            await session.step("done")
    except CTraderError as error:
        await session.step("error", text=f"{type(error).__name__}: {error}")


asyncio.run(main())
