"""What is listed, and the histories of an account."""

from venue_client import BTCUSD, EURUSD, XAUUSD, Desk

LOT = 10_000_000


def test_histories_list_orders_and_deals_of_the_period_only() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "BUY", LOT, clientOrderId="first")
    middle_ms = desk.now_ns // 1_000_000 + 500
    desk.price(EURUSD, 110_010, 110_012)
    filled = client.order("MARKET", "BUY", LOT, clientOrderId="second")[1]
    deals = client.ask("ProtoOADealListReq", fromTimestamp=middle_ms, toTimestamp=middle_ms + 10_000)
    assert [deal.dealId for deal in deals.deal] == [filled.deal.dealId]
    orders = client.ask("ProtoOAOrderListReq", fromTimestamp=middle_ms, toTimestamp=middle_ms + 10_000)
    assert [order.clientOrderId for order in orders.order] == ["second"]
    assert len(client.ask("ProtoOADealListReq").deal) == len(client.ask("ProtoOAOrderListReq").order) == 2
    page = client.ask("ProtoOADealListReq", maxRows=1)
    assert (len(page.deal), page.hasMore) == (1, True)
    desk.wait(1)  # five requests for history a second, and no more
    details = client.ask("ProtoOAOrderDetailsReq", orderId=filled.order.orderId)
    assert [deal.dealId for deal in details.deal] == [filled.deal.dealId]
    by_position = client.ask("ProtoOADealListByPositionIdReq", positionId=filled.position.positionId)
    assert [deal.dealId for deal in by_position.deal] == [filled.deal.dealId]


def test_bounds_that_are_no_period_are_refused() -> None:
    client = Desk().client()
    for name in ("ProtoOADealListReq", "ProtoOAOrderListReq", "ProtoOACashFlowHistoryListReq"):
        assert client.ask(name, fromTimestamp=2, toTimestamp=1).errorCode == "INCORRECT_BOUNDARIES"
    week = client.ask("ProtoOACashFlowHistoryListReq", fromTimestamp=0, toTimestamp=604_800_001)
    assert week.errorCode == "INCORRECT_BOUNDARIES"


def test_the_opening_deposit_is_in_the_cash_flow() -> None:
    desk = Desk()
    now_ms = desk.now_ns // 1_000_000
    (deposit,) = desk.client().ask(
        "ProtoOACashFlowHistoryListReq", fromTimestamp=now_ms, toTimestamp=now_ms
    ).depositWithdraw  # fmt: skip
    assert (deposit.delta, deposit.balance, deposit.moneyDigits) == (1_000_000, 1_000_000, 2)


def test_what_is_listed_joins_up() -> None:
    client = Desk().client()
    assets = {asset.name: asset.assetId for asset in client.ask("ProtoOAAssetListReq").asset}
    assert set(assets) == {"EUR", "USD", "JPY", "GBP", "XAU", "BTC"}
    light = {symbol.symbolName: symbol for symbol in client.ask("ProtoOASymbolsListReq").symbol}
    assert (light["XAUUSD"].baseAssetId, light["XAUUSD"].quoteAssetId) == (assets["XAU"], assets["USD"])
    chain = client.ask("ProtoOASymbolsForConversionReq", firstAssetId=assets["JPY"], lastAssetId=assets["GBP"])
    assert [symbol.symbolName for symbol in chain.symbol] == ["USDJPY", "GBPUSD"]
    unknown = client.ask("ProtoOASymbolsForConversionReq", firstAssetId=77, lastAssetId=1)
    assert unknown.errorCode == "ENTITY_NOT_FOUND"
    full = client.ask("ProtoOASymbolByIdReq", symbolId=[XAUUSD, BTCUSD]).symbol
    assert [(s.digits, s.lotSize, s.minVolume, s.stepVolume) for s in full] == [
        (2, 10_000, 100, 100), (2, 100, 1, 1)]  # fmt: skip
    tiers = client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=1).leverage.tiers
    assert [(tier.volume, tier.leverage) for tier in tiers][:2] == [(100_000_000, 500), (500_000_000, 200)]
    assert client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=9).errorCode == "ENTITY_NOT_FOUND"
