"""Answers to the requests that only read an account, its history, or what the venue lists.

Each function takes what was asked, by whom and when, and returns the response message.
Source: the request/response pairs of the Open API, by message name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.ctrader.schema import enum, message, payload_type
from bot.sim import wire
from bot.sim.desk import Desk
from bot.sim.entities import Refused, SimDeal, SimOrder
from bot.sim.listing import CLASS_NAMES
from bot.sim.past import TICK_WINDOW_MS

if TYPE_CHECKING:
    from bot.sim.venue import Venue


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on an account, and when it came."""

    venue: "Venue"
    desk: Desk
    request: Any
    now_ns: int


Answer = Callable[[Asked], Any]

_CASH_FLOW_WINDOW_MS = 604_800_000


def _reply(name: str, desk: Desk, **fields: Any) -> Any:
    return message(name)(ctidTraderAccountId=desk.account.settings.account_id, **fields)


def _bounds(request: Any, now_ns: int) -> tuple[int, int]:
    """Return (from, to) in ms; an open end is the beginning of time or now.

    Raises: Refused (INCORRECT_BOUNDARIES).
    """
    start = request.fromTimestamp if request.HasField("fromTimestamp") else 0
    end = request.toTimestamp if request.HasField("toTimestamp") else wire.ms(now_ns)
    if start < 0 or end < start:
        raise Refused("INCORRECT_BOUNDARIES", f"fromTimestamp {start} and toTimestamp {end} are not a period")
    return start, end


def _trader(asked: Asked) -> Any:
    asset = asked.venue.assets[asked.desk.account.settings.deposit_currency]
    return _reply("ProtoOATraderRes", asked.desk, trader=wire.trader_message(asked.desk.account, asset))


def _assets(asked: Asked) -> Any:
    listed = [
        message("ProtoOAAsset")(assetId=a.asset_id, name=a.name, displayName=a.name, digits=a.digits)
        for a in asked.venue.assets.values()
    ]
    return _reply("ProtoOAAssetListRes", asked.desk, asset=listed)


def _asset_classes(asked: Asked) -> Any:
    classes = [message("ProtoOAAssetClass")(id=number, name=name) for number, name in CLASS_NAMES.items()]
    return _reply("ProtoOAAssetClassListRes", asked.desk, assetClass=classes)


def _categories(asked: Asked) -> Any:
    categories = [
        message("ProtoOASymbolCategory")(id=number, assetClassId=number, name=name)
        for number, name in CLASS_NAMES.items()
    ]
    return _reply("ProtoOASymbolCategoryListRes", asked.desk, symbolCategory=categories)


def _symbols(asked: Asked) -> Any:
    return _reply(
        "ProtoOASymbolsListRes",
        asked.desk,
        symbol=[asked.venue.light_symbol(spec) for spec in asked.venue.specs.values()],
    )


def _symbols_by_id(asked: Asked) -> Any:
    rate = asked.desk.account.settings.commission_per_million
    specs = [asked.venue.spec(symbol_id) for symbol_id in asked.request.symbolId]
    return _reply("ProtoOASymbolByIdRes", asked.desk, symbol=[wire.symbol_message(spec, rate) for spec in specs])


def _conversion(asked: Asked) -> Any:
    names = {asset.asset_id: asset.name for asset in asked.venue.assets.values()}
    ends = (asked.request.firstAssetId, asked.request.lastAssetId)
    for asset_id in ends:
        if asset_id not in names:
            raise Refused("ENTITY_NOT_FOUND", f"no asset {asset_id}")
    chain = asked.venue.rates.chain(names[ends[0]], names[ends[1]])
    if chain is None:
        raise Refused("ENTITY_NOT_FOUND", f"no symbols convert {names[ends[0]]} to {names[ends[1]]}")
    return _reply(
        "ProtoOASymbolsForConversionRes", asked.desk, symbol=[asked.venue.light_symbol(spec) for spec, _ in chain]
    )


def _reconcile(asked: Asked) -> Any:
    account = asked.desk.account
    positions = [wire.position_message(position, account.money_digits) for position in account.positions.values()]
    orders = [wire.order_message(order) for order in account.orders.values()]
    if asked.request.returnProtectionOrders:
        orders += [
            wire.protection_order_message(position)
            for position in account.positions.values()
            if position.protection_order_id is not None
        ]
    return _reply("ProtoOAReconcileRes", asked.desk, position=positions, order=orders)


def _deals(desk: Desk, deals: Iterable[SimDeal]) -> list[Any]:
    return [wire.deal_message(deal, desk.account.money_digits) for deal in deals]


def _deal_list(asked: Asked) -> Any:
    start, end = _bounds(asked.request, asked.now_ns)
    found = [deal for deal in asked.desk.account.deals if start <= wire.ms(deal.executed_ns) <= end]
    rows = asked.request.maxRows if asked.request.HasField("maxRows") and asked.request.maxRows > 0 else len(found)
    return _reply("ProtoOADealListRes", asked.desk, deal=_deals(asked.desk, found[:rows]), hasMore=len(found) > rows)


def _orders_within(orders: Iterable[SimOrder], start: int, end: int) -> list[Any]:
    """Return the orders that lived at some time of the period."""
    return [
        wire.order_message(order)
        for order in orders
        if wire.ms(order.opened_ns) <= end and (not order.is_done or wire.ms(order.updated_ns) >= start)
    ]


def _order_list(asked: Asked) -> Any:
    start, end = _bounds(asked.request, asked.now_ns)
    orders = _orders_within(asked.desk.account.order_history.values(), start, end)
    return _reply("ProtoOAOrderListRes", asked.desk, order=orders, hasMore=False)


def _deals_of_position(asked: Asked) -> Any:
    start, end = _bounds(asked.request, asked.now_ns)
    found = [
        deal
        for deal in asked.desk.account.deals
        if deal.position_id == asked.request.positionId and start <= wire.ms(deal.executed_ns) <= end
    ]
    return _reply("ProtoOADealListByPositionIdRes", asked.desk, deal=_deals(asked.desk, found), hasMore=0)


def _orders_of_position(asked: Asked) -> Any:
    start, end = _bounds(asked.request, asked.now_ns)
    its = [
        order for order in asked.desk.account.order_history.values() if order.position_id == asked.request.positionId
    ]
    return _reply("ProtoOAOrderListByPositionIdRes", asked.desk, order=_orders_within(its, start, end), hasMore=False)


def _order_details(asked: Asked) -> Any:
    order = asked.desk.account.order_history.get(asked.request.orderId)
    if order is None:
        raise Refused("ORDER_NOT_FOUND", f"no order {asked.request.orderId}")
    deals = [deal for deal in asked.desk.account.deals if deal.order_id == order.order_id]
    return _reply("ProtoOAOrderDetailsRes", asked.desk, order=wire.order_message(order), deal=_deals(asked.desk, deals))


def _deal_offsets(asked: Asked) -> Any:
    deals = {deal.deal_id: deal for deal in asked.desk.account.deals}
    chosen = deals.get(asked.request.dealId)
    if chosen is None:
        raise Refused("ENTITY_NOT_FOUND", f"no deal {asked.request.dealId}")

    def offset(deal: SimDeal, volume_cents: int) -> Any:
        return message("ProtoOADealOffset")(
            dealId=deal.deal_id,
            volume=volume_cents,
            executionTimestamp=wire.ms(deal.executed_ns),
            executionPrice=float(deal.price),
        )

    by = [offset(deal, cents) for deal in deals.values() for other, cents in deal.offsets if other == chosen.deal_id]
    # Deals that the account has forgotten meanwhile are left out.
    offsetting = [offset(deals[other], cents) for other, cents in chosen.offsets if other in deals]
    return _reply("ProtoOADealOffsetListRes", asked.desk, offsetBy=by, offsetting=offsetting)


def _expected_margin(asked: Asked) -> Any:
    asked.venue.spec(asked.request.symbolId)
    margins = []
    for volume in asked.request.volume:
        buy, sell = (
            asked.desk.account.expected_margin(asked.request.symbolId, is_buy=is_buy, volume_cents=volume)
            for is_buy in (True, False)
        )
        margins.append(message("ProtoOAExpectedMargin")(volume=volume, buyMargin=buy, sellMargin=sell))
    return _reply("ProtoOAExpectedMarginRes", asked.desk, margin=margins, moneyDigits=asked.desk.account.money_digits)


def _cash_flow(asked: Asked) -> Any:
    start, end = _bounds(asked.request, asked.now_ns)
    if end - start > _CASH_FLOW_WINDOW_MS:
        raise Refused("INCORRECT_BOUNDARIES", f"the period is longer than {_CASH_FLOW_WINDOW_MS} ms")
    changes = [
        wire.balance_message(change, asked.desk.account.money_digits)
        for change in asked.desk.account.cash_flow
        if start <= wire.ms(change.changed_ns) <= end
    ]
    return _reply("ProtoOACashFlowHistoryListRes", asked.desk, depositWithdraw=changes)


def _margin_calls(asked: Asked) -> Any:
    calls = asked.venue.margin_calls[asked.desk.account.settings.account_id]
    return message("ProtoOAMarginCallListRes")(marginCall=calls.messages())


def _dynamic_leverage(asked: Asked) -> Any:
    tiers = asked.venue.tiers.get(asked.request.leverageId)
    if tiers is None:
        raise Refused("ENTITY_NOT_FOUND", f"no dynamic leverage {asked.request.leverageId}")
    leverage = message("ProtoOADynamicLeverage")(leverageId=asked.request.leverageId)
    for upper_usd, ratio in tiers:
        leverage.tiers.add(volume=upper_usd * 100, leverage=ratio * (100 if asked.venue.tier_leverage_in_cents else 1))
    return _reply("ProtoOAGetDynamicLeverageByIDRes", asked.desk, leverage=leverage)


def _unrealised(asked: Asked) -> Any:
    account = asked.desk.account
    rows = []
    for position in account.positions.values():
        gross = account.gross(position)
        if gross is not None:
            rows.append(
                message("ProtoOAPositionUnrealizedPnL")(
                    positionId=position.position_id,
                    grossUnrealizedPnL=account.minor(gross),
                    netUnrealizedPnL=account.net(position),
                )
            )
    return _reply(
        "ProtoOAGetPositionUnrealizedPnLRes", asked.desk, positionUnrealizedPnL=rows, moneyDigits=account.money_digits
    )


def _trendbars(asked: Asked) -> Any:
    spec = asked.venue.spec(asked.request.symbolId)
    start, end = _bounds(asked.request, asked.now_ns)
    count = asked.request.count if asked.request.HasField("count") else None
    bars = asked.venue.history[spec.symbol_id].bars(asked.request.period, start, end, count)
    return _reply(
        "ProtoOAGetTrendbarsRes",
        asked.desk,
        period=asked.request.period,
        timestamp=end,
        trendbar=bars,
        symbolId=spec.symbol_id,
        hasMore=False,
    )


def _tick_data(asked: Asked) -> Any:
    spec = asked.venue.spec(asked.request.symbolId)
    start, end = _bounds(asked.request, asked.now_ns)
    if not asked.request.HasField("fromTimestamp"):
        start = max(start, end - TICK_WINDOW_MS)
    if end - start > TICK_WINDOW_MS:
        raise Refused("INCORRECT_BOUNDARIES", f"the period is longer than {TICK_WINDOW_MS} ms")
    side = "BID" if asked.request.type == enum("ProtoOAQuoteType")["BID"] else "ASK"
    page, has_more = asked.venue.tick_page(spec, side, start, end)
    return _reply("ProtoOAGetTickDataRes", asked.desk, tickData=page, hasMore=has_more)


def answers() -> dict[int, Answer]:
    """Return the functions by the payload type of the request they answer."""
    named: dict[str, Answer] = {
        "ProtoOATraderReq": _trader,
        "ProtoOAAssetListReq": _assets,
        "ProtoOAAssetClassListReq": _asset_classes,
        "ProtoOASymbolCategoryListReq": _categories,
        "ProtoOASymbolsListReq": _symbols,
        "ProtoOASymbolByIdReq": _symbols_by_id,
        "ProtoOASymbolsForConversionReq": _conversion,
        "ProtoOAReconcileReq": _reconcile,
        "ProtoOADealListReq": _deal_list,
        "ProtoOAOrderListReq": _order_list,
        "ProtoOADealListByPositionIdReq": _deals_of_position,
        "ProtoOAOrderListByPositionIdReq": _orders_of_position,
        "ProtoOAOrderDetailsReq": _order_details,
        "ProtoOADealOffsetListReq": _deal_offsets,
        "ProtoOAExpectedMarginReq": _expected_margin,
        "ProtoOACashFlowHistoryListReq": _cash_flow,
        "ProtoOAMarginCallListReq": _margin_calls,
        "ProtoOAGetDynamicLeverageByIDReq": _dynamic_leverage,
        "ProtoOAGetPositionUnrealizedPnLReq": _unrealised,
        "ProtoOAGetTrendbarsReq": _trendbars,
        "ProtoOAGetTickDataReq": _tick_data,
    }
    return {payload_type(name): answer for name, answer in named.items()}
