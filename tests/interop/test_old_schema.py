"""Old clients can read the venue: what it sends fits the message classes of SDK 0.9.2, as the SDK ships them.

How it works: the venue cannot serialize a message without its required fields (protobuf refuses), so it is enough that
our mended schema requires all that the old one does. Where it does not, and for the values themselves, a session makes
the venue send every kind of answer, and the old classes read each of them.
"""

import time
from functools import cache
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from observer import Observer
from venue_process import running_venue

from bot.ctrader.schema import _FILES, _serialized_descriptor, enum, message, message_for

NOT_REQUIRED_ANY_MORE = {"ProtoOAGetTrendbarsRes.timestamp"}
WIDER_NOW = {"ProtoOAPositionUnrealizedPnL.netUnrealizedPnL"}
WITHDRAWN = {"ProtoOAv1PnLChangeSubscribeRes", "ProtoOAv1PnLChangeUnSubscribeRes"}


@cache
def old_classes() -> dict[int, Any]:
    """The classes of 0.9.2 by payload type, without our mends."""
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(_serialized_descriptor(name)))  # type: ignore[attr-defined]
    found = {}
    for name in ("OpenApiCommonMessages.proto", "OpenApiMessages.proto"):
        for descriptor in pool.FindFileByName(name).message_types_by_name.values():
            field = descriptor.fields_by_name.get("payloadType")
            if field is not None and field.has_default_value:
                found[field.default_value] = message_factory.GetMessageClass(descriptor)
    return found


def parts(descriptor: Descriptor, seen: dict[str, Descriptor]) -> dict[str, Descriptor]:
    """A message type and all that it is made of."""
    if descriptor.name not in seen:
        seen[descriptor.name] = descriptor
        for field in descriptor.fields:
            if field.message_type is not None:
                parts(field.message_type, seen)
    return seen


def venue_types() -> dict[str, Descriptor]:
    """Every type of message that a venue sends, and their parts, as of 0.9.2."""
    seen: dict[str, Descriptor] = {}
    for cls in old_classes().values():
        if not cls.DESCRIPTOR.name.endswith("Req"):
            parts(cls.DESCRIPTOR, seen)
    return seen


def test_what_old_clients_require_the_venue_must_set() -> None:
    lacking = set()
    for name, old in venue_types().items():
        ours = message(name).DESCRIPTOR.fields_by_name
        lacking |= {
            f"{name}.{field.name}" for field in old.fields if field.is_required and not ours[field.name].is_required
        }
    assert {"ProtoOAExecutionEvent", "ProtoOAOrder", "ProtoOATradeData"} <= set(venue_types())
    assert lacking == NOT_REQUIRED_ANY_MORE


def test_numbers_and_types_of_fields_are_those_of_old_clients() -> None:
    different = set()
    for name, old in venue_types().items():
        for field in old.fields:
            ours = message(name).DESCRIPTOR.fields_by_name[field.name]
            if (ours.number, ours.type, ours.is_repeated) != (field.number, field.type, field.is_repeated):
                different.add(f"{name}.{field.name}")
    assert different == WIDER_NOW


def test_a_required_enum_has_no_value_that_old_clients_do_not_know() -> None:
    """They would read the message as one without the field."""
    for old in venue_types().values():
        for field in old.fields:
            if field.is_required and field.enum_type is not None:
                assert set(enum(field.enum_type.name).values()) == {value.number for value in field.enum_type.values}


def unread(old: Any, ours: Any, path: str) -> list[str]:
    """Fields of 0.9.2 that the old class reads otherwise than ours does."""
    found = []
    for field in old.DESCRIPTOR.fields:
        here = f"{path}.{field.name}"
        before, after = getattr(ours, field.name), getattr(old, field.name)
        if field.message_type is None:
            found += (
                [here]
                if (list(before) if field.is_repeated else before) != (list(after) if field.is_repeated else after)
                else []
            )
        else:
            pairs = zip(before, after, strict=True) if field.is_repeated else [(before, after)]
            found += [name for one, other in pairs for name in unread(other, one, here)]
    return found


@pytest.mark.slow
def test_old_clients_read_every_kind_of_answer() -> None:
    with running_venue() as ready, Observer(ready) as observer:
        ask_for_everything(observer, ready["access_token"], ready["refresh_token"])
        names = set()
        for payload_type, payload in observer.payloads:
            old, ours = old_classes()[payload_type].FromString(payload), message_for(payload_type).FromString(payload)
            name = old.DESCRIPTOR.name
            names.add(name)
            assert old.IsInitialized(), (name, old.FindInitializationErrors())
            assert unread(old, ours, name) == []
    answers = {cls.DESCRIPTOR.name for cls in old_classes().values() if cls.DESCRIPTOR.name.endswith("Res")}
    assert answers - WITHDRAWN - names == set()
    assert {
        "ProtoOASpotEvent", "ProtoOADepthEvent", "ProtoOAExecutionEvent", "ProtoOAOrderErrorEvent",
        "ProtoOAMarginCallUpdateEvent", "ProtoOAAccountDisconnectEvent", "ProtoOAAccountsTokenInvalidatedEvent",
    } <= names  # fmt: skip
    kinds = {kind for kind, _ in observer.executions}
    assert {"ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_REPLACED", "ORDER_CANCELLED", "ORDER_EXPIRED"} <= kinds


def ask_for_everything(venue: Observer, access_token: str, refresh_token: str) -> None:
    """Make the venue send each kind of answer at least once."""
    light = venue.listed["EURUSD"]
    symbol = {"symbolId": light.symbolId}
    full = venue.details[light.symbolId]
    buy = {**symbol, "tradeSide": enum("ProtoOATradeSide")["BUY"], "volume": 2 * full.minVolume}
    kind = enum("ProtoOAOrderType")
    venue.ask("ProtoOAVersionReq")
    venue.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken=access_token)
    venue.ask("ProtoOAGetCtidProfileByTokenReq", accessToken=access_token)
    for name in ("Trader", "AssetList", "AssetClassList", "SymbolCategoryList"):
        venue.ask(f"ProtoOA{name}Req")
    venue.ask("ProtoOASymbolsForConversionReq", firstAssetId=light.quoteAssetId, lastAssetId=light.baseAssetId)
    venue.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=full.leverageId)
    venue.ask("ProtoOAExpectedMarginReq", **symbol, volume=[full.minVolume])
    venue.ask("ProtoOASubscribeLiveTrendbarReq", **symbol, period=1)
    (call, *_) = venue.ask("ProtoOAMarginCallListReq").marginCall
    venue.ask("ProtoOAMarginCallUpdateReq", marginCall=call)
    # Orders and a position, with everything that can hang on them.
    venue.ask("ProtoOANewOrderReq", **buy, orderType=kind["MARKET"], relativeStopLoss=5_000, relativeTakeProfit=5_000)
    held = venue.ask("ProtoOAReconcileReq", returnProtectionOrders=True)
    position = {"positionId": held.position[0].positionId}
    venue.ask("ProtoOAAmendPositionSLTPReq", **position, stopLoss=0.9, takeProfit=1.3, trailingStopLoss=True)
    resting = venue.ask("ProtoOANewOrderReq", **buy, orderType=kind["LIMIT"], limitPrice=1.0).order.orderId
    venue.ask("ProtoOAAmendOrderReq", orderId=resting, volume=full.minVolume, limitPrice=1.01)
    venue.ask("ProtoOACancelOrderReq", orderId=resting)
    venue.ask("ProtoOACancelOrderReq", orderId=resting)  # refused
    venue.ask(
        "ProtoOANewOrderReq", **buy, orderType=kind["STOP"], stopPrice=1.2,
        timeInForce=enum("ProtoOATimeInForce")["GOOD_TILL_DATE"], expirationTimestamp=int(time.time() * 1000) + 1_500,
    )  # fmt: skip
    venue.ask("ProtoOAGetPositionUnrealizedPnLReq")
    venue.ask("ProtoOAClosePositionReq", **position, volume=full.minVolume)
    closing = [event.deal for event in venue.events("ORDER_FILLED") if event.deal.HasField("closePositionDetail")]
    assert closing
    # History, four requests a second: the venue may limit them to five.
    now_ms = int(time.time() * 1000)
    period = {"fromTimestamp": now_ms - 600_000_000, "toTimestamp": now_ms}
    venue.ask("ProtoOADealListReq", **period)
    venue.ask("ProtoOAOrderListReq", **period)
    venue.ask("ProtoOACashFlowHistoryListReq", **period)
    venue.ask("ProtoOAOrderDetailsReq", orderId=resting)
    venue.listen(1.2)
    venue.ask("ProtoOADealListByPositionIdReq", **position, **period)
    venue.ask("ProtoOAOrderListByPositionIdReq", **position, **period)
    venue.ask("ProtoOADealOffsetListReq", dealId=closing[0].dealId)
    venue.listen(1.2)
    venue.ask("ProtoOAGetTickDataReq", **symbol, type=enum("ProtoOAQuoteType")["BID"], **period)
    venue.ask("ProtoOAGetTrendbarsReq", **symbol, period=1, **period)
    # The end: what is refused, and sessions that close.
    venue.ask("ProtoOASymbolByIdReq", symbolId=[999_999])
    venue.ask("ProtoOAVersionRes", version="not a request")
    venue.ask("ProtoOAUnsubscribeLiveTrendbarReq", **symbol, period=1)
    venue.ask("ProtoOAUnsubscribeDepthQuotesReq", symbolId=[light.symbolId])
    venue.ask("ProtoOAUnsubscribeSpotsReq", symbolId=[light.symbolId])
    renewed = venue.ask("ProtoOARefreshTokenReq", refreshToken=refresh_token)
    venue.ask("ProtoOAAccountAuthReq", accessToken=renewed.accessToken)
    venue.ask("ProtoOAAccountLogoutReq")
    venue.ask("ProtoOAVersionReq")
