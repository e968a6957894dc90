"""The way to READY: its order, what it tells, what stops it, and that every way back leads through it again."""

import pytest
from scripted_venue import (
    ACCOUNT,
    SECOND,
    START,
    ScriptedVenue,
    account_list,
    build,
    detail,
    error,
    plan,
    ready_venue,
    trader,
)
from test_translate import trade_data, wire_order, wire_position

from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.session import Session
from bot.engine.events import AccountLoaded, LeverageTiersLoaded, ReadinessChanged, Reconciled, SymbolsLoaded

HANDSHAKE = [
    "ApplicationAuth",
    "Version",
    "GetAccountListByAccessToken",
    "AccountAuth",
    "Trader",
    "AssetList",
    "SymbolsList",
    "SymbolById",
    *["SymbolsForConversion"] * 4,
    "SymbolById",
    "GetDynamicLeverageByID",
    "Reconcile",
    "SubscribeSpots",
    "SubscribeDepthQuotes",
]


def unready(**changes) -> ScriptedVenue:
    return ScriptedVenue(Session(plan(**changes)))


def kinds(events) -> list[str]:
    return [type(e).__name__ for e in events]


def at(phase: Phase) -> ScriptedVenue:
    """Return a venue that stopped answering when the session had entered `phase`."""
    if phase is Phase.READY:
        return ready_venue()
    venue = unready()
    if phase is Phase.CLOSED:
        return venue
    for name in TRANSITIONS[phase].awaits:
        request = name.removesuffix("Res") + "Req"
        answer = venue.replies[request]
        venue.replies[request] = lambda r, answer=answer: [] if venue.session.phase is phase else answer(r)
    venue.connect()
    assert venue.session.phase is phase
    venue.told()
    venue.replies = unready().replies
    return venue


def test_the_requests_come_in_the_order_their_answers_are_needed() -> None:
    venue = unready().connect()
    assert venue.names == HANDSHAKE
    assert venue.session.ready


def test_traded_symbols_and_chains_are_subscribed_and_depth_of_the_traded_only() -> None:
    venue = unready().connect()
    spots, depth = venue.requests[-2:]
    assert list(spots.symbolId) == [12, 11, 13]
    assert list(depth.symbolId) == [12, 11]


def test_each_step_is_told_and_ready_comes_last() -> None:
    told = unready().connect().told()
    assert [e.reasons for e in told if isinstance(e, ReadinessChanged)] == [
        ("authenticating",),
        ("loading_account",),
        ("loading_symbols",),
        ("reconciling",),
        ("subscribing",),
        (),
    ]
    others = [e for e in told if not isinstance(e, ReadinessChanged)]
    assert [type(e) for e in others] == [AccountLoaded, SymbolsLoaded, LeverageTiersLoaded, Reconciled]
    assert told[-1].reasons == ()


def test_symbols_come_in_the_order_of_the_config_with_their_conversions() -> None:
    (loaded,) = [e for e in unready().connect().told() if isinstance(e, SymbolsLoaded)]
    assert [s.name for s in loaded.symbols] == ["USDJPY", "EURUSD", "EURJPY"]
    assert loaded.traded_count == 2
    steps = {asset: [(s.symbol_index, s.invert) for s in chain] for asset, chain in loaded.conversions.items()}
    assert steps == {"EUR": [], "USD": [(1, True)], "JPY": [(2, True)]}
    steps = {asset: [(s.symbol_index, s.invert) for s in chain] for asset, chain in loaded.usd_conversions.items()}
    assert steps == {"USD": [], "EUR": [(1, False)], "JPY": [(0, True)]}


def test_a_deposit_in_dollars_asks_for_each_chain_once() -> None:
    venue = unready(symbols=("EURUSD",))
    venue.replies["ProtoOATraderReq"] = lambda r: [build("TraderRes", trader=trader(depositAssetId=2))]
    venue.connect()
    assert venue.names.count("SymbolsForConversion") == 1
    (loaded,) = [e for e in venue.told() if isinstance(e, SymbolsLoaded)]
    assert loaded.conversions == loaded.usd_conversions


def test_without_chain_symbols_no_further_details_are_asked() -> None:
    venue = unready(symbols=("EURUSD",)).connect()
    assert venue.session.ready
    assert venue.names.count("SymbolById") == 1


def test_the_simulator_takes_the_only_account_of_the_grant() -> None:
    venue = ready_venue(account_id=None, environment="simulator")
    assert venue.requests[-1].ctidTraderAccountId == ACCOUNT


@pytest.mark.parametrize(
    ("request_name", "reply", "changes", "exit_code", "text"),
    [
        ("ApplicationAuth", error("CH_CLIENT_AUTH_FAILURE", "wrong"), {}, 3, "client_secret"),
        ("ApplicationAuth", error("CH_OA_CLIENT_NOT_FOUND"), {}, 3, "client_id"),
        ("GetAccountListByAccessToken", error("CH_ACCESS_TOKEN_INVALID"), {}, 3, "microlev auth login"),
        ("AccountAuth", error("OA_AUTH_TOKEN_EXPIRED"), {}, 3, "microlev auth login"),
        ("AccountAuth", error("RET_ACCOUNT_DISABLED"), {}, 3, "disabled"),
        ("AccountAuth", error("CH_CTID_TRADER_ACCOUNT_NOT_FOUND"), {}, 3, "account.id"),
        ("GetAccountListByAccessToken", account_list(5, 6), {}, 3, "5 (demo), 6 (demo)"),
        (
            "GetAccountListByAccessToken",
            account_list(5, live=True),
            {"account_id": 5},
            3,
            "live, but venue.environment is demo",
        ),
        (
            "GetAccountListByAccessToken",
            account_list(),
            {"environment": "live"},
            3,
            "is demo, but venue.environment is live",
        ),
        ("GetAccountListByAccessToken", account_list(scope=0), {}, 3, "view scope"),
        ("Trader", build("TraderRes", trader=trader(accessRights=3)), {}, 3, "NO_LOGIN"),
        (None, None, {"symbols": ("EURUSX",)}, 2, "close names: EURUSD"),
        (None, None, {"symbols": ("zzzz",)}, 2, "none with a close name"),
        (None, None, {"symbols": ("XAUUSD",)}, 2, "XAUUSD is disabled"),
        ("SymbolById", build("SymbolByIdRes"), {}, 2, "no details"),
        (
            "SymbolById",
            build("SymbolByIdRes", symbol=[detail(12), detail(11, lotSize=0)]),
            {},
            2,
            "no lotSize for EURUSD",
        ),
    ],
)
def test_what_no_reconnect_can_mend_is_fatal(request_name, reply, changes, exit_code, text) -> None:
    venue = unready(**changes)
    if request_name:
        venue.replies[f"ProtoOA{request_name}Req"] = lambda r: [reply]
    venue.connect()
    assert venue.session.fatal.exit_code == exit_code
    assert text in venue.session.fatal.text
    assert "\n" not in venue.session.fatal.text
    asked = len(venue.asked)
    venue.wait(100)
    venue.session.connection_lost(venue.now_ns, "dropped")
    venue.connect()
    assert len(venue.asked) == asked, "nothing is sent after a fatal answer"


def test_view_scope_suffices_without_trading_and_any_kind_of_account_in_the_simulator() -> None:
    for changes in ({"trade": False}, {"environment": "simulator", "trade": False}):
        venue = unready(**changes)
        live = changes.get("environment") == "simulator"
        venue.replies["ProtoOAGetAccountListByAccessTokenReq"] = lambda r, live=live: [account_list(scope=0, live=live)]
        assert venue.connect().session.ready


def test_an_empty_grant_is_fatal() -> None:
    venue = unready(account_id=None)
    venue.replies["ProtoOAGetAccountListByAccessTokenReq"] = lambda r: [
        build("GetAccountListByAccessTokenRes", accessToken="t", permissionScope=1)
    ]
    assert venue.connect().session.fatal.text.startswith("the token grants no trading account")


def test_no_secret_is_in_the_repr_of_a_plan() -> None:
    shown = repr(plan(refresh_token="the-refresh-token"))
    assert not any(secret in shown for secret in ("the-client-secret", "the-access-token", "the-refresh-token"))


@pytest.mark.parametrize("code", ["CANT_ROUTE_REQUEST", "CH_SERVER_NOT_REACHABLE", "SERVER_IS_UNDER_MAINTENANCE",
                                  "TIMEOUT_ERROR", "NEVER_HEARD_OF", "CONNECTIONS_LIMIT_EXCEEDED",
                                  "CH_CLIENT_NOT_AUTHENTICATED"])  # fmt: skip
@pytest.mark.parametrize(
    "request_name", ["ApplicationAuth", "AccountAuth", "Trader", "Reconcile", "SubscribeDepthQuotes"]
)
def test_a_passing_trouble_asks_for_a_new_connection(request_name: str, code: str) -> None:
    venue = unready()
    venue.replies[f"ProtoOA{request_name}Req"] = lambda r: [error(code)]
    venue.connect()
    assert code in venue.session.wants_disconnect
    assert venue.session.fatal is None
    assert venue.session.next_timeout_ns() is None


def test_an_error_of_the_common_kind_counts_as_well() -> None:
    venue = unready()
    venue.replies["ProtoOAApplicationAuthReq"] = lambda r: [build("ProtoErrorRes", errorCode="CANT_ROUTE_REQUEST")]
    assert "CANT_ROUTE_REQUEST" in venue.connect().session.wants_disconnect


@pytest.mark.parametrize(
    ("request_name", "code"),
    [
        ("ApplicationAuth", "CH_CLIENT_ALREADY_AUTHENTICATED"),
        ("AccountAuth", "ALREADY_LOGGED_IN"),
        ("SubscribeSpots", "ALREADY_SUBSCRIBED"),
        ("SubscribeDepthQuotes", "ALREADY_SUBSCRIBED"),
    ],
)
def test_what_is_done_already_is_done(request_name: str, code: str) -> None:
    venue = unready()
    venue.replies[f"ProtoOA{request_name}Req"] = lambda r: [error(code)]
    assert venue.connect().session.ready


def test_depth_that_survived_is_subscribed_anew_because_its_snapshot_is_gone() -> None:
    venue = unready()
    venue.replies["ProtoOASubscribeDepthQuotesReq"] = lambda r: [error("ALREADY_SUBSCRIBED")]
    venue.connect()
    assert venue.names[-4:] == ["UnsubscribeDepthQuotes"] * 2 + ["SubscribeDepthQuotes"] * 2
    assert venue.session.ready
    assert venue.session.wants_disconnect is None


@pytest.mark.parametrize("request_name", ["Version", "SymbolsForConversion", "GetDynamicLeverageByID"])
def test_what_can_be_done_without_is_done_without(request_name: str) -> None:
    venue = unready()
    venue.replies[f"ProtoOA{request_name}Req"] = lambda r: [error("UNSUPPORTED_MESSAGE")]
    assert venue.connect().session.ready
    assert venue.session.counters["refusals_passed_over"] >= 1


def test_a_rate_that_is_out_of_reach_for_the_moment_is_not_done_without() -> None:
    venue = unready()
    venue.replies["ProtoOASymbolsForConversionReq"] = lambda r: [error("CH_SERVER_NOT_REACHABLE")]
    assert "CH_SERVER_NOT_REACHABLE" in venue.connect().session.wants_disconnect


def test_a_blocked_request_is_sent_again_when_the_block_is_over() -> None:
    venue = unready()
    answer, refused = venue.replies["ProtoOATraderReq"], []

    def once(request):
        if refused:
            return answer(request)
        refused.append(venue.now_ns)
        return [error("BLOCKED_PAYLOAD_TYPE", retryAfter=7)]

    venue.replies["ProtoOATraderReq"] = once
    venue.connect()
    assert venue.session.ready
    assert venue.names.count("Trader") == 2
    assert venue.now_ns - START >= 7 * SECOND


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.CLOSED, Phase.READY)])
def test_each_request_of_the_handshake_has_fifteen_seconds(phase: Phase) -> None:
    venue = at(phase)
    venue.wait(14)
    assert venue.session.wants_disconnect is None
    venue.wait(2)
    assert "no answer to" in venue.session.wants_disconnect
    assert "within 15 s" in venue.session.wants_disconnect


def test_the_symbols_of_positions_that_are_not_traded_are_loaded_as_well() -> None:
    venue = unready(symbols=("EURUSD",))
    foreign = wire_position(positionId=9, tradeData=trade_data(symbol_id=12))
    venue.replies["ProtoOAReconcileReq"] = lambda r: [build("ReconcileRes", position=[foreign])]
    venue.connect()
    told = venue.told()
    last = [e for e in told if isinstance(e, SymbolsLoaded)][-1]
    assert "USDJPY" in [s.name for s in last.symbols]
    assert last.traded_count == 1
    assert kinds(told).count("Reconciled") == 2
    assert venue.session.ready
    assert list(venue.requests[-1].symbolId) == [11], "depth of the traded symbol only"


@pytest.mark.parametrize(("label", "loads"), [("ours", True), ("another's", False), ("", False)])
def test_the_symbols_of_our_resting_orders_are_loaded_as_well(label: str, loads: bool) -> None:
    venue = unready(symbols=("EURUSD",), label="ours")
    left = wire_order(orderId=9, tradeData=trade_data(symbol_id=14, label=label))
    venue.replies["ProtoOAReconcileReq"] = lambda r: [build("ReconcileRes", order=[left])]
    venue.connect()
    last = [e for e in venue.told() if isinstance(e, SymbolsLoaded)][-1]
    assert ("GBPUSD" in [s.name for s in last.symbols]) == loads
    assert last.traded_count == 1 and venue.session.ready


def test_a_position_opened_later_in_another_symbol_loads_it_on_the_live_connection() -> None:
    venue = ready_venue(symbols=("EURUSD",))
    foreign = wire_position(positionId=9, tradeData=trade_data(symbol_id=12))
    venue.replies["ProtoOAReconcileReq"] = lambda r: [build("ReconcileRes", position=[foreign])]
    venue.tell(build("ExecutionEvent", executionType=3, position=foreign, order=wire_order(orderId=5)))
    assert not venue.session.ready
    venue.talk()
    told = venue.told()
    assert "USDJPY" in [s.name for e in told if isinstance(e, SymbolsLoaded) for s in e.symbols]
    assert venue.session.ready
    assert kinds(told)[-1] == "ReadinessChanged"


def test_a_position_in_a_symbol_the_broker_does_not_list_does_not_loop() -> None:
    venue = unready(symbols=("EURUSD",))
    foreign = wire_position(positionId=9, tradeData=trade_data(symbol_id=999))
    venue.replies["ProtoOAReconcileReq"] = lambda r: [build("ReconcileRes", position=[foreign])]
    venue.connect()
    assert venue.session.ready
