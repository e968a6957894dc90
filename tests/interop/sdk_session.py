"""A whole session with the official SDK's own client. Run by its test in an environment that has the SDK; not a test.

How it works: the first line of standard input is the ready line of `microlev sim`. After each step it prints one JSON
line of what the client saw and waits for a line (or the end) of standard input, so that the venue can be looked at
meanwhile. The last line is the step "done", or "error" with the client's own words.
"""

import json
import os
import sys

from ctrader_open_api import Client, Protobuf, TcpProtocol
from ctrader_open_api.messages import OpenApiMessages_pb2 as api
from ctrader_open_api.messages import OpenApiModelMessages_pb2 as model
from twisted.internet import defer, reactor, threads

ready = json.loads(sys.stdin.readline())
account_id = ready["accounts"][0]["id"]
symbol = next(s for s in ready["symbols"] if s["name"] == "EURUSD")
volume = 3 * symbol["min_volume_cents"]
own_id = f"sdk-{os.getpid()}"
spots, book, executions = {"bids": [], "asks": []}, {}, []
waiting = []  # (predicate on the executions and market data seen so far, Deferred)
client = Client(ready["host"], ready["port"], TcpProtocol)


def on_message(_client, wrapper):
    body = Protobuf.extract(wrapper)
    assert body.IsInitialized(), body.FindInitializationErrors()
    if isinstance(body, api.ProtoOASpotEvent):
        for side in ("bid", "ask"):
            if body.HasField(side):
                spots[side + "s"].append(getattr(body, side))
    elif isinstance(body, api.ProtoOADepthEvent):
        for quote_id in body.deletedQuotes:
            book.pop(quote_id, None)
        for quote in body.newQuotes:
            side = "bid" if quote.HasField("bid") else "ask"
            book[quote.id] = [quote.id, side, getattr(quote, side), quote.size]
    elif isinstance(body, (api.ProtoOAExecutionEvent, api.ProtoOAOrderErrorEvent)):
        executions.append(body)
    for entry in list(waiting):
        found = entry[0]()
        if found:
            waiting.remove(entry)
            entry[1].callback(found)


def until(predicate):
    found = predicate()
    if found:
        return defer.succeed(found)
    deferred = defer.Deferred()
    waiting.append((predicate, deferred))
    return deferred


def execution(kind, *, since, **of):
    """The first execution event after `since` of a kind, and of an order or position."""
    number = model.ProtoOAExecutionType.Value(kind)

    def find():
        for event in executions[since:]:
            if isinstance(event, api.ProtoOAExecutionEvent) and event.executionType == number:
                if all(getattr(event.order, name) == wanted for name, wanted in of.items()):
                    return event
        return None

    return until(find)


@defer.inlineCallbacks
def ask(request):
    wrapper = yield client.send(request, responseTimeoutInSeconds=20)
    body = Protobuf.extract(wrapper)
    if isinstance(body, (api.ProtoOAErrorRes, api.ProtoOAOrderErrorEvent)):
        raise RuntimeError(f"{body.errorCode}: {body.description}")
    return body


def step(name, **saw):
    print(json.dumps({"step": name, **saw}), flush=True)
    return threads.deferToThread(sys.stdin.readline)


@defer.inlineCallbacks
def log_in():
    yield ask(api.ProtoOAApplicationAuthReq(clientId=ready["client_id"], clientSecret=ready["client_secret"]))
    yield step("application")
    listed = yield ask(api.ProtoOAGetAccountListByAccessTokenReq(accessToken=ready["access_token"]))
    yield step("accounts", accounts=[account.ctidTraderAccountId for account in listed.ctidTraderAccount])
    yield ask(api.ProtoOAAccountAuthReq(ctidTraderAccountId=account_id, accessToken=ready["access_token"]))
    trader = yield ask(api.ProtoOATraderReq(ctidTraderAccountId=account_id))
    yield step("account", balance=trader.trader.balance / 10**trader.trader.moneyDigits)


@defer.inlineCallbacks
def watch():
    listed = yield ask(api.ProtoOASymbolsListReq(ctidTraderAccountId=account_id))
    ids = [entry.symbolId for entry in listed.symbol]
    full = yield ask(api.ProtoOASymbolByIdReq(ctidTraderAccountId=account_id, symbolId=ids))
    digits = {entry.symbolId: entry.digits for entry in full.symbol}
    yield step("symbols", symbols=[[s.symbolId, s.symbolName, digits[s.symbolId]] for s in listed.symbol])
    yield ask(api.ProtoOASubscribeSpotsReq(ctidTraderAccountId=account_id, symbolId=[symbol["id"]]))
    yield until(lambda: len(spots["bids"]) > 1 and len(spots["asks"]) > 1)
    yield step("spots", **spots)
    yield ask(api.ProtoOASubscribeDepthQuotesReq(ctidTraderAccountId=account_id, symbolId=[symbol["id"]]))
    yield until(lambda: len(book) >= 10)
    yield step("depth", quotes=list(book.values()))


def new_order(order_type, **fields):
    return api.ProtoOANewOrderReq(
        ctidTraderAccountId=account_id,
        symbolId=symbol["id"],
        orderType=model.ProtoOAOrderType.Value(order_type),
        tradeSide=model.ProtoOATradeSide.Value("BUY"),
        label="sdk",
        **fields,
    )


@defer.inlineCallbacks
def reconcile():
    held = yield ask(api.ProtoOAReconcileReq(ctidTraderAccountId=account_id))
    yield step(
        "reconcile",
        positions=[[p.positionId, p.tradeData.volume] for p in held.position],
        orders=[[o.orderId, o.tradeData.volume, o.limitPrice] for o in held.order],
    )


@defer.inlineCallbacks
def trade():
    yield ask(new_order("MARKET", volume=volume, clientOrderId=own_id))
    filled = yield execution("ORDER_FILLED", since=0, clientOrderId=own_id)
    position_id = filled.position.positionId
    yield step(
        "market_order",
        order_id=filled.order.orderId,
        position_id=position_id,
        volume_cents=filled.deal.filledVolume,
        price=filled.deal.executionPrice,
        client_order_id=filled.order.clientOrderId,
    )
    low, high = round(filled.deal.executionPrice * 0.9, 5), round(filled.deal.executionPrice * 1.1, 5)
    resting = yield ask(new_order("LIMIT", volume=volume, limitPrice=low))
    order = resting.order
    yield step("limit_order", order_id=order.orderId, volume_cents=order.tradeData.volume, price=order.limitPrice)
    amend = api.ProtoOAAmendOrderReq(ctidTraderAccountId=account_id, orderId=order.orderId)
    amend.volume, amend.limitPrice = volume + symbol["step_volume_cents"], round(low + 0.01, 5)
    order = (yield ask(amend)).order
    yield step("amend_order", order_id=order.orderId, volume_cents=order.tradeData.volume, price=order.limitPrice)
    yield reconcile()
    yield ask(api.ProtoOACancelOrderReq(ctidTraderAccountId=account_id, orderId=order.orderId))
    cancelled = yield execution("ORDER_CANCELLED", since=0, orderId=order.orderId)
    yield step("cancel_order", order_id=cancelled.order.orderId)
    protect = api.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=account_id, positionId=position_id)
    protect.stopLoss, protect.takeProfit = low, high
    held = (yield ask(protect)).position
    yield step("amend_position", position_id=position_id, stop_loss=held.stopLoss, take_profit=held.takeProfit)
    try:
        yield ask(new_order("MARKET", volume=symbol["min_volume_cents"] + 1))
        yield step("refused_order", text="")
    except RuntimeError as error:
        yield step("refused_order", text=str(error))
    for name, cents in (("partial_close", symbol["min_volume_cents"]), ("close", volume - symbol["min_volume_cents"])):
        since = len(executions)
        yield ask(api.ProtoOAClosePositionReq(ctidTraderAccountId=account_id, positionId=position_id, volume=cents))
        deal = (yield execution("ORDER_FILLED", since=since, positionId=position_id)).deal
        detail = deal.closePositionDetail
        yield step(
            name,
            position_id=deal.positionId,
            volume_cents=detail.closedVolume,
            balance=detail.balance / 10**detail.moneyDigits,
        )
    yield reconcile()


@defer.inlineCallbacks
def session():
    yield log_in()
    yield watch()
    yield trade()
    yield step("done")


def connected(_client):
    done = session()
    done.addErrback(lambda failure: step("error", text=failure.getErrorMessage()))
    done.addBoth(lambda _: reactor.running and reactor.stop())


client.setConnectedCallback(connected)
client.setMessageReceivedCallback(on_message)
client.startService()
reactor.run()
