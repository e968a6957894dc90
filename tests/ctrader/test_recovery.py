"""Drops, lost accounts and changes on the way: every (phase, event) pair, and that the way back is the way in."""

import pytest
from scripted_venue import (
    ACCOUNT,
    START,
    build,
    detail,
    error,
    light,
    ready_venue,
    trader,
)
from standing import answer, standstill
from test_handshake import HANDSHAKE, at, unready

from bot.ctrader.phases import Phase
from bot.ctrader.schema import message
from bot.engine.events import ReadinessChanged


@pytest.mark.parametrize("phase", list(Phase))
def test_a_drop_in_any_phase_leads_back_to_the_start_and_to_ready(phase: Phase) -> None:
    venue = at(phase)
    venue.session.connection_lost(venue.now_ns, "cut")
    assert not venue.session.ready
    assert venue.session.phase is Phase.CLOSED
    assert venue.told()[-1] == ReadinessChanged(venue.now_ns, ("disconnected",))
    assert venue.session.next_timeout_ns() is None
    assert venue.session.data_to_send(venue.now_ns) == []
    before = len(venue.asked)
    venue.connect()
    assert venue.session.ready
    assert venue.names[before:] == HANDSHAKE


def test_no_message_id_is_used_twice_over_any_number_of_connections() -> None:
    venue = unready()
    for _ in range(5):
        venue.connect()
        venue.session.connection_lost(venue.now_ns, "cut")
        venue.wait(5)
    ids = [message_id for _, message_id in venue.asked]
    assert len(set(ids)) == len(ids) == 5 * len(HANDSHAKE)
    assert all(message_id.startswith("r1-") for message_id in ids)


def test_a_connection_made_over_another_one_starts_afresh() -> None:
    venue = ready_venue()
    venue.connect()
    assert venue.session.ready
    assert [e.reasons for e in venue.told() if isinstance(e, ReadinessChanged)][:2] == [
        ("disconnected",),
        ("authenticating",),
    ]


@pytest.mark.parametrize(
    "event",
    [
        build("AccountDisconnectEvent"),
        build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[3, ACCOUNT], reason="refreshed"),
    ],
)
@pytest.mark.parametrize("phase", [p for p in Phase if p.has_account])
def test_a_lost_account_session_is_authenticated_again_on_the_same_link(event, phase: Phase) -> None:
    venue = at(phase)
    before = len(venue.asked)
    venue.tell(event)
    assert not venue.session.ready
    venue.talk()
    assert venue.session.ready
    assert venue.names[before:] == HANDSHAKE[3:]
    assert ReadinessChanged(START, ("account_disconnected",)) in [
        ReadinessChanged(START, e.reasons) for e in venue.told() if isinstance(e, ReadinessChanged)
    ]


def test_an_account_that_is_lost_again_and_again_gets_a_new_connection() -> None:
    venue = ready_venue()
    for _ in range(3):
        assert venue.session.wants_disconnect is None
        venue.tell(build("AccountDisconnectEvent"))
        venue.talk()
    assert "3 times within a minute" in venue.session.wants_disconnect


def test_the_loss_of_another_account_is_nothing_to_us() -> None:
    venue = ready_venue()
    venue.tell(build("AccountDisconnectEvent", ctidTraderAccountId=3))
    venue.tell(build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[3]))
    assert venue.session.ready
    assert venue.told() == []


def test_a_cancelled_application_session_asks_for_a_new_connection() -> None:
    venue = ready_venue()
    venue.tell(build("ClientDisconnectEvent", reason="maintenance"))
    assert "maintenance" in venue.session.wants_disconnect
    assert not venue.session.ready


def test_a_token_that_dies_later_is_fatal_when_the_account_authenticates_again() -> None:
    venue = ready_venue()
    venue.replies["ProtoOAAccountAuthReq"] = lambda r: [error("CH_ACCESS_TOKEN_INVALID")]
    venue.tell(build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT]))
    venue.talk()
    assert venue.session.fatal.exit_code == 3


def test_a_changed_symbol_is_asked_for_and_told_again() -> None:
    venue = ready_venue()
    venue.replies["ProtoOASymbolByIdReq"] = lambda r: [
        build("SymbolByIdRes", symbol=[detail(11, maxVolume=500_000, leverageId=99)])
    ]
    venue.tell(build("SymbolChangedEvent", symbolId=[11, 4711]))
    venue.talk()
    loaded, tiers = venue.told()
    assert [s.max_volume_cents for s in loaded.symbols] == [1_000_000_000, 500_000, 1_000_000_000]
    assert tiers.leverage_id == 99
    venue.tell(build("SymbolChangedEvent", symbolId=[4711]))
    assert venue.talk().told() == []


def test_a_changed_symbol_that_lost_its_limits_keeps_the_old_ones() -> None:
    venue = ready_venue()
    venue.replies["ProtoOASymbolByIdReq"] = lambda r: [build("SymbolByIdRes", symbol=[detail(11, maxVolume=0)])]
    venue.tell(build("SymbolChangedEvent", symbolId=[11]))
    (loaded,) = venue.talk().told()
    assert loaded.symbols[1].max_volume_cents == 1_000_000_000


def test_a_changed_account_is_told() -> None:
    venue = ready_venue()
    venue.tell(build("TraderUpdatedEvent", trader=trader(balance=5, leverageInCents=1000)))
    (event,) = venue.told()
    assert (event.account.leverage, event.account.deposit_asset) == (10.0, "EUR")


def test_a_heartbeat_goes_out_after_ten_idle_seconds_and_a_silent_venue_is_left_after_sixty() -> None:
    venue = ready_venue()
    venue.wait(9.9)
    assert venue.heartbeats == 0
    venue.wait(0.2)
    assert venue.heartbeats == 1
    venue.wait(49.8)
    assert venue.heartbeats == 5
    assert venue.session.wants_disconnect is None
    venue.wait(0.2)
    assert venue.session.wants_disconnect == "nothing received for 60 s"


def test_any_message_keeps_the_link_alive() -> None:
    venue = ready_venue()
    for _ in range(10):
        venue.wait(50)
        venue.tell(message("ProtoHeartbeatEvent")())
    assert venue.session.ready
    assert venue.session.counters["heartbeats"] == 10


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize(
    "content",
    [
        build("SpotEvent", symbolId=11, bid=1, ask=2),
        build("DepthEvent", symbolId=11, deletedQuotes=[1]),
        build("TraderUpdatedEvent", trader=trader()),
        build("SymbolChangedEvent", symbolId=[11]),
        build("SymbolsListRes", symbol=[light(11)]),
        build("MarginChangedEvent", positionId=1, usedMargin=5),
        message("ProtoHeartbeatEvent")(),
        error("MARKET_CLOSED"),
        build("OrderErrorEvent", errorCode="ORDER_NOT_FOUND", orderId=5),
    ],
    ids=lambda c: c.DESCRIPTOR.name,
)
def test_an_event_in_any_phase_neither_breaks_nor_hurries_the_handshake(phase: Phase, content) -> None:
    venue = at(phase)
    venue.tell(content)
    venue.tell(content, "r1-999999")
    assert venue.session.phase is phase
    assert venue.session.wants_disconnect is None
    assert venue.session.fatal is None


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.CLOSED, Phase.READY)])
def test_a_reply_of_another_kind_under_our_id_is_not_taken(phase: Phase) -> None:
    venue = at(phase)
    venue.tell(
        build("VersionRes", version="1") if phase is not Phase.ACCOUNT_LIST else build("TraderRes", trader=trader()),
        venue.asked[-1][1],
    )
    assert venue.session.phase is phase
    assert venue.session.counters["unexpected"] == 1


def test_changes_that_come_while_one_is_asked_for_are_asked_for_together() -> None:
    venue = ready_venue()
    before = len(venue.requests)
    for symbol_id in (11, 12, 11, 12, 13):
        venue.tell(build("SymbolChangedEvent", symbolId=[symbol_id]))
    venue.talk()
    asked = [sorted(r.symbolId) for r in venue.requests[before:]]
    assert asked == [[11], [11, 12, 13]]


def test_a_change_between_the_details_and_their_use_is_not_missed() -> None:
    venue, waiting = standstill(Phase.CHAIN_DETAILS)
    venue.tell(build("SymbolChangedEvent", symbolId=[11]))
    for asked in waiting:
        answer(venue, asked)
    venue.talk()
    assert venue.session.ready
    assert [11] in [list(r.symbolId) for r in venue.requests if r.DESCRIPTOR.name == "ProtoOASymbolByIdReq"]


def test_a_traded_symbol_that_is_gone_makes_the_session_read_everything_again() -> None:
    venue = ready_venue()
    venue.replies["ProtoOASymbolByIdReq"] = lambda r: [build("SymbolByIdRes")]
    venue.tell(build("SymbolChangedEvent", symbolId=[11]))
    venue.talk()
    assert venue.session.wants_disconnect == "the broker gives no details of EURUSD any more; reading all again"
