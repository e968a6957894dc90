"""A whole session with the official SDK's own client: run by its test in an environment that has the SDK.

Reads the ready line of `microlev sim` on standard input, logs in, lists accounts and symbols, subscribes, buys,
closes, reconciles, and prints one JSON line of what it saw. Not a test module itself.
"""

import json
import sys

from ctrader_open_api import Client, Protobuf, TcpProtocol
from ctrader_open_api.messages import OpenApiMessages_pb2 as api
from ctrader_open_api.messages import OpenApiModelMessages_pb2 as model
from twisted.internet import defer, reactor

ready = json.loads(sys.stdin.readline())
account_id = ready["accounts"][0]["id"]
symbol = next(s for s in ready["symbols"] if s["name"] == "EURUSD")
seen = {"spots": 0, "depth": 0, "executions": [], "messages": 0}
waiting = []  # (predicate, Deferred)
client = Client(ready["host"], ready["port"], TcpProtocol)


def on_message(_client, wrapper):
    body = Protobuf.extract(wrapper)
    assert body.IsInitialized(), body.FindInitializationErrors()
    seen["messages"] += 1
    if isinstance(body, api.ProtoOASpotEvent):
        seen["spots"] += 1
    elif isinstance(body, api.ProtoOADepthEvent):
        seen["depth"] += len(body.newQuotes)
    elif isinstance(body, api.ProtoOAExecutionEvent):
        seen["executions"].append(model.ProtoOAExecutionType.Name(body.executionType))
        for entry in list(waiting):
            if entry[0](body):
                waiting.remove(entry)
                entry[1].callback(body)


def execution(kind):
    deferred = defer.Deferred()
    waiting.append((lambda event: event.executionType == kind, deferred))
    return deferred


@defer.inlineCallbacks
def ask(request):
    wrapper = yield client.send(request, responseTimeoutInSeconds=20)
    body = Protobuf.extract(wrapper)
    if isinstance(body, api.ProtoOAErrorRes):
        raise RuntimeError(f"{type(request).__name__}: {body.errorCode}: {body.description}")
    return body


@defer.inlineCallbacks
def session():
    yield ask(api.ProtoOAApplicationAuthReq(clientId=ready["client_id"], clientSecret=ready["client_secret"]))
    accounts = yield ask(api.ProtoOAGetAccountListByAccessTokenReq(accessToken=ready["access_token"]))
    seen["accounts"] = [account.ctidTraderAccountId for account in accounts.ctidTraderAccount]
    yield ask(api.ProtoOAAccountAuthReq(ctidTraderAccountId=account_id, accessToken=ready["access_token"]))
    symbols = yield ask(api.ProtoOASymbolsListReq(ctidTraderAccountId=account_id))
    seen["symbols"] = [entry.symbolName for entry in symbols.symbol]
    full = yield ask(api.ProtoOASymbolByIdReq(ctidTraderAccountId=account_id, symbolId=[symbol["id"]]))
    seen["digits"] = full.symbol[0].digits
    trader = yield ask(api.ProtoOATraderReq(ctidTraderAccountId=account_id))
    seen["balance_before"] = trader.trader.balance / 10**trader.trader.moneyDigits
    yield ask(api.ProtoOASubscribeSpotsReq(ctidTraderAccountId=account_id, symbolId=[symbol["id"]]))
    yield ask(api.ProtoOASubscribeDepthQuotesReq(ctidTraderAccountId=account_id, symbolId=[symbol["id"]]))
    order = api.ProtoOANewOrderReq(
        ctidTraderAccountId=account_id,
        symbolId=symbol["id"],
        orderType=model.ProtoOAOrderType.Value("MARKET"),
        tradeSide=model.ProtoOATradeSide.Value("BUY"),
        volume=symbol["min_volume_cents"],
        label="sdk",
        clientOrderId="sdk-1",
    )
    filled = execution(model.ProtoOAExecutionType.Value("ORDER_FILLED"))
    first = yield ask(order)
    seen["first_answer"] = type(first).__name__
    fill = yield filled
    seen["client_order_id"] = fill.order.clientOrderId
    reconciled = yield ask(api.ProtoOAReconcileReq(ctidTraderAccountId=account_id))
    seen["open_positions"] = [
        (p.positionId == fill.position.positionId, p.tradeData.volume) for p in reconciled.position
    ]
    closed = execution(model.ProtoOAExecutionType.Value("ORDER_FILLED"))
    yield ask(
        api.ProtoOAClosePositionReq(
            ctidTraderAccountId=account_id, positionId=fill.position.positionId, volume=symbol["min_volume_cents"]
        )
    )
    close = yield closed
    seen["balance_after"] = close.deal.closePositionDetail.balance / 10**close.deal.closePositionDetail.moneyDigits
    reconciled = yield ask(api.ProtoOAReconcileReq(ctidTraderAccountId=account_id))
    seen["positions_left"] = len(reconciled.position)


def connected(_client):
    done = session()
    done.addErrback(lambda failure: seen.update(error=failure.getErrorMessage()))
    done.addBoth(lambda _: reactor.stop())


client.setConnectedCallback(connected)
client.setMessageReceivedCallback(on_message)
client.startService()
reactor.callLater(60, lambda: (seen.update(error="timed out"), reactor.stop()))
reactor.run()
print(json.dumps(seen))
