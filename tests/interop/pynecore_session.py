"""A whole session with the connection of PyneCore's cTrader plug-in. Run by its test where it is installed; not a test.

How it works: the first line of standard input is the ready line of `microlev sim`; SSL_CERT_FILE names its `ca_file`.
After each step it prints one JSON line of what the client saw and waits for a line (or the end) of standard input, so
that the venue can be looked at meanwhile. The last line is the step "done", or "error" with the client's own words.
"""

import asyncio
import json
import os
import sys

from pynecore_ctrader.messages import OpenApiMessages_pb2 as api
from pynecore_ctrader.messages import OpenApiModelMessages_pb2 as model
from pynecore_ctrader.wire import CTraderProtocolError, CTraderWireError, WireClient


class Session:
    def __init__(self, ready):
        self.ready = ready
        self.account_id = ready["accounts"][0]["id"]
        self.symbol = next(s for s in ready["symbols"] if s["name"] == "EURUSD")
        self.least = self.symbol["min_volume_cents"]
        self.volume = 3 * self.least
        self.spots, self.book, self.executions = {"bids": [], "asks": []}, {}, []
        self.client = WireClient(ready["host"], ready["port"])

    def take(self, body):
        assert body.IsInitialized(), body.FindInitializationErrors()
        if isinstance(body, api.ProtoOASpotEvent):
            for side in ("bid", "ask"):
                if body.HasField(side):
                    self.spots[side + "s"].append(getattr(body, side))
        elif isinstance(body, api.ProtoOADepthEvent):
            for quote_id in body.deletedQuotes:
                self.book.pop(quote_id, None)
            for quote in body.newQuotes:
                side = "bid" if quote.HasField("bid") else "ask"
                self.book[quote.id] = [quote.id, side, getattr(quote, side), quote.size]
        elif isinstance(body, api.ProtoOAExecutionEvent):
            self.executions.append(body)

    async def until(self, predicate):
        async with asyncio.timeout(20):
            while not (found := predicate()):
                self.take(await self.client.events.get())
        return found

    async def execution(self, kind, *, since=0, **of):
        number = model.ProtoOAExecutionType.Value(kind)

        def find():
            for event in self.executions[since:]:
                if event.executionType == number and all(getattr(event.order, k) == v for k, v in of.items()):
                    return event
            return None

        return await self.until(find)

    async def ask(self, name, **fields):
        """Send a request of the account; an execution event that answers it counts as one."""
        answer = await self.client.send_request(
            getattr(api, f"ProtoOA{name}Req")(ctidTraderAccountId=self.account_id, **fields), timeout=20
        )
        if isinstance(answer, api.ProtoOAOrderErrorEvent):  # to this client an answer like any other
            raise CTraderProtocolError(answer.errorCode, answer.description)
        self.take(answer)
        return answer

    async def step(self, name, **saw):
        print(json.dumps({"step": name, **saw}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    async def log_in(self):
        ready, client = self.ready, self.client
        await client.send_request(
            api.ProtoOAApplicationAuthReq(clientId=ready["client_id"], clientSecret=ready["client_secret"])
        )
        await self.step("application")
        listed = await client.send_request(api.ProtoOAGetAccountListByAccessTokenReq(accessToken=ready["access_token"]))
        await self.step("accounts", accounts=[entry.ctidTraderAccountId for entry in listed.ctidTraderAccount])
        await self.ask("AccountAuth", accessToken=ready["access_token"])
        trader = (await self.ask("Trader")).trader
        await self.step("account", balance=trader.balance / 10**trader.moneyDigits)

    async def watch(self):
        listed = (await self.ask("SymbolsList")).symbol
        full = (await self.ask("SymbolById", symbolId=[entry.symbolId for entry in listed])).symbol
        digits = {entry.symbolId: entry.digits for entry in full}
        await self.step("symbols", symbols=[[s.symbolId, s.symbolName, digits[s.symbolId]] for s in listed])
        await self.ask("SubscribeSpots", symbolId=[self.symbol["id"]])
        await self.until(lambda: len(self.spots["bids"]) > 1 and len(self.spots["asks"]) > 1)
        await self.step("spots", **self.spots)
        await self.ask("SubscribeDepthQuotes", symbolId=[self.symbol["id"]])
        await self.until(lambda: len(self.book) >= 10)
        await self.step("depth", quotes=list(self.book.values()))

    async def new_order(self, order_type, **fields):
        return await self.ask(
            "NewOrder",
            symbolId=self.symbol["id"],
            orderType=model.ProtoOAOrderType.Value(order_type),
            tradeSide=model.ProtoOATradeSide.Value("BUY"),
            label="pynecore",
            **fields,
        )

    async def reconcile(self):
        held = await self.ask("Reconcile")
        await self.step(
            "reconcile",
            positions=[[p.positionId, p.tradeData.volume] for p in held.position],
            orders=[[o.orderId, o.tradeData.volume, o.limitPrice] for o in held.order],
        )

    async def trade(self):
        own_id = f"pynecore-{os.getpid()}"
        await self.new_order("MARKET", volume=self.volume, clientOrderId=own_id)
        filled = await self.execution("ORDER_FILLED", clientOrderId=own_id)
        position_id = filled.position.positionId
        await self.step(
            "market_order",
            order_id=filled.order.orderId,
            position_id=position_id,
            volume_cents=filled.deal.filledVolume,
            price=filled.deal.executionPrice,
            client_order_id=filled.order.clientOrderId,
        )
        low, high = round(filled.deal.executionPrice * 0.9, 5), round(filled.deal.executionPrice * 1.1, 5)
        order = (await self.new_order("LIMIT", volume=self.volume, limitPrice=low)).order
        await self.step(
            "limit_order", order_id=order.orderId, volume_cents=order.tradeData.volume, price=order.limitPrice
        )
        more, nearer = self.volume + self.symbol["step_volume_cents"], round(low + 0.01, 5)
        order = (await self.ask("AmendOrder", orderId=order.orderId, volume=more, limitPrice=nearer)).order
        await self.step(
            "amend_order", order_id=order.orderId, volume_cents=order.tradeData.volume, price=order.limitPrice
        )
        await self.reconcile()
        await self.ask("CancelOrder", orderId=order.orderId)
        cancelled = await self.execution("ORDER_CANCELLED", orderId=order.orderId)
        await self.step("cancel_order", order_id=cancelled.order.orderId)
        held = (await self.ask("AmendPositionSLTP", positionId=position_id, stopLoss=low, takeProfit=high)).position
        await self.step(
            "amend_position", position_id=held.positionId, stop_loss=held.stopLoss, take_profit=held.takeProfit
        )
        try:
            await self.new_order("MARKET", volume=self.least + 1)
            await self.step("refused_order", text="")
        except CTraderProtocolError as error:
            await self.step("refused_order", text=str(error))
        for name, cents in (("partial_close", self.least), ("close", self.volume - self.least)):
            since = len(self.executions)
            await self.ask("ClosePosition", positionId=position_id, volume=cents)
            deal = (await self.execution("ORDER_FILLED", since=since, positionId=position_id)).deal
            detail = deal.closePositionDetail
            await self.step(
                name,
                position_id=deal.positionId,
                volume_cents=detail.closedVolume,
                balance=detail.balance / 10**detail.moneyDigits,
            )
        await self.reconcile()


async def main():
    session = Session(json.loads(sys.stdin.readline()))
    try:
        await session.client.connect()
        await session.log_in()
        await session.watch()
        await session.trade()
        await session.step("done")
    except CTraderWireError as error:
        await session.step("error", text=f"{type(error).__name__}: {error}")
    finally:
        await session.client.disconnect()


asyncio.run(main())
