"""No window ever holds more than the venue allows, reductions go first, and what has grown old is not sent."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.ratelimit import (
    GENERAL_LIMIT,
    HISTORICAL_LIMIT,
    MINUTE_LIMITS,
    RESERVED_FOR_REDUCTIONS,
    Budget,
    Importance,
    KindHeld,
    is_historical,
)
from bot.ctrader.schema import payload_type
from bot.ctrader.send_queue import Outgoing, SendQueue

SECOND = 1_000_000_000
ORDER = payload_type("ProtoOANewOrderReq")
DEALS = payload_type("ProtoOADealListReq")
TRADER = payload_type("ProtoOATraderReq")
CLOSE = payload_type("ProtoOAClosePositionReq")
CANCEL = payload_type("ProtoOACancelOrderReq")
IMPORTANCE = {
    ORDER: Importance.GROWTH,
    CLOSE: Importance.REDUCTION,
    CANCEL: Importance.REDUCTION,
    TRADER: Importance.SESSION,
    DEALS: Importance.HISTORICAL,
}

# (pause before it in ms, kind, how many)
bursts = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from(list(IMPORTANCE)), st.integers(1, 70)),
    min_size=1,
    max_size=8,
)


def item(number: int, name: str = "", stale_ns: int | None = None) -> Outgoing:
    return Outgoing(name, number, b"", IMPORTANCE[number], stale_ns)


def drain(steps: list[tuple[int, int, int]]) -> list[tuple[int, Outgoing]]:
    """Feed bursts, wake the queue whenever it asks, and return all sends with their times."""
    queue, sent, now, put = SendQueue(Budget()), [], 0, 0

    def wake_until(end: int) -> None:
        nonlocal now
        while (due := queue.next_ns()) is not None and max(due, now) <= end:
            now = max(due, now)
            taken = queue.take(now)
            assert taken, "the queue asked to be woken for nothing"
            sent.extend((now, out) for out in taken)
        now = end

    for pause_ms, number, count in steps:
        wake_until(now + pause_ms * 1_000_000)
        for _ in range(count):
            queue.put(item(number, str(put)))
            put += 1
    wake_until(now + 1000 * SECOND)
    assert len(queue) == 0
    return sent


def most_within(times: list[int], window_ns: int) -> int:
    return max((bisect_right(times, start + window_ns) - i for i, start in enumerate(times)), default=0)


@given(bursts)
def test_no_second_holds_more_than_the_limits_and_nothing_is_lost(steps: list[tuple[int, int, int]]) -> None:
    sent = drain(steps)
    assert len(sent) == sum(count for _, _, count in steps)
    assert most_within([t for t, _ in sent], SECOND) <= GENERAL_LIMIT
    assert most_within([t for t, out in sent if out.payload_type == DEALS], SECOND) <= HISTORICAL_LIMIT
    for name, limit in MINUTE_LIMITS.items():
        assert most_within([t for t, out in sent if out.payload_type == payload_type(name)], 60 * SECOND) <= limit


@given(bursts)
def test_each_kind_leaves_in_the_order_it_came(steps: list[tuple[int, int, int]]) -> None:
    for number in IMPORTANCE:
        ids = [int(out.message_id) for _, out in drain(steps) if out.payload_type == number]
        assert ids == sorted(ids)


def test_a_full_burst_leaves_at_once_and_the_rest_after_the_window() -> None:
    queue = SendQueue(Budget())
    for _ in range(GENERAL_LIMIT + 1):
        queue.put(item(CLOSE))
    assert len(queue.take(0)) == GENERAL_LIMIT
    assert queue.take(SECOND) == []
    due = queue.next_ns()
    assert due is not None
    assert due > SECOND
    assert len(queue.take(due)) == 1


def test_there_is_always_room_to_get_out() -> None:
    queue = SendQueue(Budget())
    for _ in range(2 * GENERAL_LIMIT):
        queue.put(item(ORDER))
    assert len(queue.take(0)) == GENERAL_LIMIT - RESERVED_FOR_REDUCTIONS
    for _ in range(2 * RESERVED_FOR_REDUCTIONS):
        queue.put(item(CLOSE))
    taken = queue.take(1)
    assert [out.payload_type for out in taken] == [CLOSE] * RESERVED_FOR_REDUCTIONS


def test_cancels_have_a_budget_of_a_minute() -> None:
    queue, sent, now = SendQueue(Budget()), [], 0
    for _ in range(150):
        queue.put(item(CANCEL))
    while (due := queue.next_ns()) is not None:
        now = max(now, due)
        sent += [now] * len(queue.take(now))
    assert len(sent) == 150
    assert sent[99] < 3 * SECOND
    assert sent[100] - sent[0] > 60 * SECOND


def test_reductions_go_first_and_histories_last() -> None:
    queue = SendQueue(Budget())
    for out in (item(DEALS, "deals"), item(TRADER, "trader"), item(ORDER, "order"), item(CLOSE, "close")):
        queue.put(out)
    assert [out.message_id for out in queue.take(0)] == ["close", "order", "trader", "deals"]


def test_an_old_intention_is_not_sent_late() -> None:
    queue = SendQueue(Budget())
    queue.budget.hold(ORDER, 0, 5)
    queue.put(item(ORDER, "old", stale_ns=SECOND))
    assert queue.next_ns() == SECOND
    assert queue.take_stale(SECOND - 1) == []
    assert queue.take(SECOND) == []
    assert [out.message_id for out in queue.take_stale(SECOND)] == ["old"]
    assert len(queue) == 0


def test_an_old_intention_is_not_sent_even_when_the_way_is_free() -> None:
    queue = SendQueue(Budget())
    queue.put(item(ORDER, "old", stale_ns=SECOND))
    assert queue.take(SECOND) == []


def test_a_blocked_kind_waits_and_lets_the_others_pass() -> None:
    queue = SendQueue(Budget())
    queue.budget.hold(TRADER, 0, 5)
    queue.put(item(TRADER, "trader"))
    queue.put(item(DEALS, "deals"))
    assert [out.message_id for out in queue.take(0)] == ["deals"]
    assert queue.next_ns() == 5 * SECOND
    assert queue.budget.held_until_ns(TRADER, 0) == 5 * SECOND
    assert queue.take(5 * SECOND - 1) == []
    assert [out.message_id for out in queue.take(5 * SECOND)] == ["trader"]
    assert queue.budget.held_until_ns(TRADER, 5 * SECOND) is None


def test_a_shorter_block_does_not_end_a_longer_one() -> None:
    budget = Budget()
    budget.hold(TRADER, 0, 30)
    budget.hold(TRADER, SECOND, 2)
    assert budget.held_until_ns(TRADER, SECOND) == 30 * SECOND


def test_a_block_without_a_length_grows_each_time_and_is_forgiven_after_a_minute() -> None:
    budget, now, pauses = Budget(), 0, []
    for _ in range(8):
        budget.hold(TRADER, now, 0)
        until = budget.held_until_ns(TRADER, now)
        assert until is not None
        pauses.append((until - now) // SECOND)
        now = until
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    now += 61 * SECOND
    budget.hold(TRADER, now, 0)
    assert budget.held_until_ns(TRADER, now) == now + SECOND


def test_too_fast_pauses_everything_but_reductions() -> None:
    queue = SendQueue(Budget())
    queue.budget.slow_down(TRADER, 0, 3)
    for number in IMPORTANCE:
        queue.put(item(number, str(number)))
    taken = {int(out.message_id) for out in queue.take(0)}
    assert taken == {CLOSE, CANCEL, DEALS}  # histories count against a limit of their own
    assert {int(out.message_id) for out in queue.take(3 * SECOND)} == {ORDER, TRADER}


@pytest.mark.parametrize("sharers", [1, 2, 3, 5])
def test_accounts_that_share_a_connection_keep_its_limits_together(sharers: int) -> None:
    queues, sent, now = [SendQueue(Budget(sharers)) for _ in range(sharers)], [], 0
    for queue in queues:
        for i in range(24):
            queue.put(item([CLOSE, TRADER, DEALS][i % 3]))
    while due := [d for queue in queues if (d := queue.next_ns()) is not None]:
        now = max(now, min(due))
        sent += [(now, out.payload_type) for queue in queues for out in queue.take(now)]
    assert len(sent) == 24 * sharers
    assert most_within([t for t, _ in sent], SECOND) <= GENERAL_LIMIT
    assert most_within([t for t, number in sent if number == DEALS], SECOND) <= HISTORICAL_LIMIT


@pytest.mark.parametrize("sharers", [0, HISTORICAL_LIMIT + 1])
def test_a_limit_cannot_be_shared_into_nothing(sharers: int) -> None:
    with pytest.raises(ValueError, match="cannot be shared"):
        Budget(sharers)


def test_a_block_of_another_account_is_kept_as_ones_own() -> None:
    budget = Budget(2)
    budget.held_elsewhere(KindHeld(0, TRADER, 5 * SECOND))
    assert budget.held_until_ns(TRADER, 0) == 5 * SECOND


def test_a_message_can_be_taken_back() -> None:
    queue = SendQueue(Budget())
    queue.put(item(TRADER, "a"))
    queue.put(item(TRADER, "b"))
    queue.discard(["a", "unheard of"])
    assert [out.message_id for out in queue.take(0)] == ["b"]


def test_every_list_of_the_past_is_historical_and_reconcile_is_not() -> None:
    for name in ("OrderList", "DealList", "GetTickData", "GetTrendbars", "CashFlowHistoryList", "DealOffsetList"):
        assert is_historical(payload_type(f"ProtoOA{name}Req")), name
    assert not is_historical(payload_type("ProtoOAReconcileReq"))
