"""Faults of one connection, as its client sees them."""

import pytest
from fault_bench import ANSWER, EXECUTION, MS, ORDER, VERSION, at, bench, names, on_event, on_request, version
from venue_client import ACCOUNT, EURUSD, SECOND, Desk, kinds

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message
from bot.sim.entities import AccountSettings
from bot.sim.faults.link_faults import (
    Drop,
    Duplicate,
    Late,
    Latency,
    LoseEvent,
    Merge,
    Reorder,
    Silence,
    SlowReader,
    Split,
)
from bot.sim.faults.script import Fault, When
from bot.sim.faults.session_faults import ClientDisconnect


def test_outbound_latency_holds_every_answer_back_in_order() -> None:
    desk = bench(at(0, Latency(outbound_ns=300 * MS)))
    client = desk.client(stage="connected")
    client.send("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    assert version(client) == []
    assert desk.venue.next_event_ns() == desk.now_ns + 300 * MS
    desk.wait(0.299)
    assert client.received() == []
    desk.wait(0.001)
    assert names(client.received()) == ["ProtoOAApplicationAuthRes", *ANSWER]


def test_inbound_latency_lets_a_request_be_handled_later_and_at_the_price_of_then() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Latency(inbound_ns=2 * SECOND), for_ns=SECOND)
    assert client.order("MARKET", "BUY", 100_000) == []
    desk.price(EURUSD, 111_000, 111_010)
    assert client.received() == []
    desk.wait(1)
    filled = client.messages(EXECUTION)[-1]
    assert filled.deal.executionPrice == 1.1101
    assert names(version(client)) == ANSWER  # the fault is over


def test_jitter_never_lets_messages_overtake_each_other() -> None:
    desk = bench(at(0, Latency(inbound_ns=MS, outbound_ns=MS, jitter_ns=500 * MS)))
    client = desk.client(stage="connected")
    got = client.send("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    for _ in range(20):
        got += version(client)
        desk.wait(0.03)
    desk.wait(3)
    ids = [msg_id for msg_id, _ in got + client.received()]
    assert ids == [f"id-{number}" for number in range(1, 22)]


def test_split_bytes_leave_in_segments_of_the_size_and_hold_the_same_messages() -> None:
    desk = Desk()
    client = desk.client()
    whole = len(frame(envelope(message("ProtoOAVersionRes")(version="0.9"), "id-3")))
    desk.venue.stage.fire(Split(7, gap_ns=10 * MS))
    client.link.receive(frame(envelope(message(VERSION)(), "id-3")), desk.now_ns)
    sizes, count = [], 0
    while count < whole:
        segments = client.link.segments_to_send(desk.now_ns)
        assert len(segments) == 1, "ten milliseconds lie between two segments"
        sizes += [len(segment) for segment in segments]
        count += sizes[-1]
        desk.wait(0.01)
    assert sizes[:-1] == [7] * (len(sizes) - 1)
    assert sum(sizes) == whole


def test_split_without_a_gap_gives_all_segments_at_once() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Split(5))
    client.link.receive(frame(envelope(message(VERSION)(), "x")), desk.now_ns)
    segments = client.link.segments_to_send(desk.now_ns)
    assert len(segments) > 2
    assert {len(segment) for segment in segments[:-1]} == {5}


def test_merged_messages_leave_together_when_the_window_ends() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Merge(100 * MS))
    for _ in range(3):
        assert version(client) == []
        desk.wait(0.03)
    desk.wait(0.01)
    assert len(client.link.segments_to_send(desk.now_ns)) == 1
    assert client.link.pending_bytes == 0


@pytest.mark.parametrize(
    ("when", "answers", "executed"),
    [("before", [], 0), ("after_execution", [], 1), ("after_reply", [EXECUTION, EXECUTION], 1)],
)
def test_a_drop_comes_before_between_or_after_execution_and_reply(when: str, answers: list[str], executed: int) -> None:
    desk = bench(on_request(ORDER, Drop(when)))
    client = desk.client()
    assert [m.DESCRIPTOR.name for m in client.order("MARKET", "BUY", 100_000)] == answers
    assert client.link.is_closed
    assert not client.link.aborts
    assert len(desk.account.positions) == executed


def test_an_aborting_drop_by_the_clock_ends_every_connection() -> None:
    desk = bench(at(5, Drop(abort=True)))
    clients = [desk.client(), desk.client()]
    desk.wait(4.9)
    assert not any(client.link.is_closed for client in clients)
    desk.wait(0.1)
    assert all(client.link.is_closed and client.link.aborts for client in clients)
    assert names(version(desk.client())) == ANSWER


def test_a_drop_on_an_event_keeps_that_event_and_all_after_it_from_the_client() -> None:
    desk = bench(on_event(EXECUTION, Drop(), kind="ORDER_FILLED"))
    client, other = desk.client(), desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED"]
    assert client.link.is_closed
    assert not other.link.is_closed
    assert kinds(other.messages()) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_after_a_drop_on_an_event_nothing_of_the_same_moment_follows() -> None:
    desk = bench(on_event(EXECUTION, Drop("after_reply"), kind="ORDER_ACCEPTED"))
    client = desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED"]
    assert client.link.is_closed


def test_a_drop_for_one_account_spares_connections_without_it() -> None:
    desk = Desk(others=(AccountSettings(ACCOUNT + 1),))
    mine, other = desk.client(), desk.client(stage="app")
    other.ask("ProtoOAAccountAuthReq", accessToken="trade", ctidTraderAccountId=ACCOUNT + 1)
    desk.venue.stage.fire(Drop(), account_id=ACCOUNT + 1)
    assert (mine.link.is_closed, other.link.is_closed) == (False, True)


def test_silence_loses_what_is_said_in_both_directions_until_it_ends() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Silence(), for_ns=60 * SECOND)
    assert client.order("MARKET", "BUY", 100_000) == []
    assert not desk.account.positions, "the venue has not heard it either"
    desk.wait(59)
    assert client.received() == [], "not even a heartbeat"
    assert not client.link.is_closed
    assert list(desk.venue.stage.request_log)[-1].outcome == "ignored"
    desk.wait(1)
    assert names(version(client)) == ANSWER


def test_silence_for_ever_holds_for_the_links_of_then_not_for_new_ones() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Silence())
    desk.wait(1e6)
    assert version(client) == client.received() == []
    assert names(version(desk.client())) == ANSWER


def test_silence_in_one_direction_executes_what_it_hears() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Silence(direction="outbound"), for_ns=SECOND)
    assert client.order("MARKET", "BUY", 100_000) == []
    assert len(desk.account.positions) == 1
    desk.wait(1)
    desk.venue.stage.fire(Silence(direction="inbound"))
    assert client.order("MARKET", "BUY", 100_000) == []
    assert len(desk.account.positions) == 1
    desk.wait(30)
    assert names(client.received()) == ["ProtoHeartbeatEvent"], "what the venue says still arrives"


def test_late_silence_brings_everything_at_its_end() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Silence(fate="late"), for_ns=10 * SECOND)
    assert version(client) == []
    desk.wait(9.9)
    assert client.received() == []
    desk.wait(0.1)
    assert names(client.received()) == ANSWER


def test_what_is_said_during_late_silence_arrives_at_its_end_too() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Silence(direction="outbound", fate="late"), for_ns=10 * SECOND)
    assert client.order("MARKET", "BUY", 100_000) == []
    assert len(desk.account.positions) == 1
    desk.wait(9.9)
    assert client.received() == []
    desk.wait(0.1)
    assert kinds(client.messages()) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_slow_reader_handles_what_piled_up_when_it_reads_again() -> None:
    desk = Desk()
    client = desk.client()
    assert client.link.is_reading
    desk.venue.stage.fire(SlowReader(), for_ns=5 * SECOND)
    assert not client.link.is_reading
    for _ in range(3):
        assert version(client) == []
    desk.wait(4.9)
    assert client.received() == []
    desk.wait(0.1)
    assert client.link.is_reading
    assert names(client.received()) == ANSWER * 3
    received = [entry.received_ns for entry in desk.venue.stage.request_log][-3:]
    assert received == [desk.now_ns - 5 * SECOND] * 3, "they count by when they came"


def test_a_duplicate_event_comes_twice_and_the_second_copy_may_come_later() -> None:
    desk = bench(on_event(EXECUTION, Duplicate(), kind="ORDER_FILLED"))
    client = desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_FILLED"]
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    desk.venue.stage.play(on_event(EXECUTION, Duplicate(gap_ns=SECOND)), desk.now_ns)
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    desk.wait(1)
    assert kinds(client.messages()) == ["ORDER_ACCEPTED"]


def test_reordered_events_change_places() -> None:
    desk = bench(on_event(EXECUTION, Reorder(), kind="ORDER_ACCEPTED"))
    client = desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_FILLED", "ORDER_ACCEPTED"]


def test_a_reordered_event_without_a_next_one_leaves_alone() -> None:
    desk = bench(on_event(EXECUTION, Reorder(within_ns=SECOND), kind="ORDER_FILLED"))
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED"]
    desk.quote(EURUSD, [(109_000, 10**9)], [(109_010, 10**9)], wait_s=0)
    assert "ORDER_FILLED" not in kinds(client.messages()), "a price is no next event"
    desk.wait(1)
    assert kinds(client.messages()) == ["ORDER_FILLED"]


def test_a_late_event_is_overtaken() -> None:
    desk = bench(on_event(EXECUTION, Late(250 * MS), kind="ORDER_ACCEPTED"))
    client = desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_FILLED"]
    desk.wait(0.249)
    assert client.received() == []
    desk.wait(0.001)
    assert kinds(client.messages()) == ["ORDER_ACCEPTED"]


def test_a_lost_event_is_never_sent_though_what_it_tells_of_happened() -> None:
    desk = bench(on_event(EXECUTION, LoseEvent(), kind="ORDER_FILLED"))
    client = desk.client()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED"]
    assert len(desk.account.positions) == 1
    desk.wait(100)
    assert "ORDER_FILLED" not in kinds(client.messages())


def test_an_event_fault_by_hand_strikes_the_next_event_of_an_account_and_no_reply() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(LoseEvent())
    assert names(version(client)) == ANSWER
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_FILLED"]


def test_a_fault_on_a_connection_strikes_that_one_alone() -> None:
    desk = bench(Fault(Latency(outbound_ns=SECOND), When(on_connect=2)))
    first, second = desk.client(), desk.client(stage="connected")
    assert names(version(first)) == ANSWER
    assert version(second) == []


def test_what_waits_on_a_link_that_ends_is_lost() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Latency(inbound_ns=SECOND, outbound_ns=SECOND))
    version(client)
    client.link.drop("gone")
    desk.wait(5)
    assert client.received() == []
    assert client.link.pending_bytes == 0


def test_what_could_leave_when_the_link_ends_still_leaves_though_it_is_cut_up() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.stage.fire(Split(3))
    desk.venue.stage.fire(ClientDisconnect())
    assert names(client.received()) == ["ProtoOAClientDisconnectEvent"]
    assert client.link.is_closed
