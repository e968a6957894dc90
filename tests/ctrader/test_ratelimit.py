"""No window of a second ever holds more than the venue allows, and trading goes first."""

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.ratelimit import GENERAL_LIMIT, HISTORICAL_LIMIT, Outgoing, SendQueue, is_historical
from bot.ctrader.schema import payload_type

SECOND = 1_000_000_000
ORDER = payload_type("ProtoOANewOrderReq")
DEALS = payload_type("ProtoOADealListReq")
TRADER = payload_type("ProtoOATraderReq")

# (pause before it in ms, kind, how many)
bursts = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from([ORDER, DEALS, TRADER]), st.integers(1, 70)),
    min_size=1,
    max_size=8,
)


def item(number: int, name: str = "") -> Outgoing:
    return Outgoing(name, number, b"", trading=number == ORDER)


def drain(steps: list[tuple[int, int, int]]) -> list[tuple[int, Outgoing]]:
    """Feed bursts, wake the queue whenever it asks, and return all sends with their times."""
    queue, sent, now, put = SendQueue(), [], 0, 0

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


def most_in_a_second(times: list[int]) -> int:
    return max((bisect_right(times, start + SECOND) - i for i, start in enumerate(times)), default=0)


@given(bursts)
def test_no_second_holds_more_than_the_limits_and_nothing_is_lost(steps: list[tuple[int, int, int]]) -> None:
    sent = drain(steps)
    assert len(sent) == sum(count for _, _, count in steps)
    assert most_in_a_second([t for t, _ in sent]) <= GENERAL_LIMIT
    assert most_in_a_second([t for t, out in sent if out.payload_type == DEALS]) <= HISTORICAL_LIMIT


@given(bursts)
def test_each_kind_leaves_in_the_order_it_came(steps: list[tuple[int, int, int]]) -> None:
    for number in (ORDER, DEALS, TRADER):
        ids = [int(out.message_id) for _, out in drain(steps) if out.payload_type == number]
        assert ids == sorted(ids)


def test_a_full_burst_leaves_at_once_and_the_rest_after_the_window() -> None:
    queue = SendQueue()
    for _ in range(GENERAL_LIMIT + 1):
        queue.put(item(TRADER))
    assert len(queue.take(0)) == GENERAL_LIMIT
    assert queue.take(SECOND) == []
    due = queue.next_ns()
    assert due is not None
    assert due > SECOND
    assert len(queue.take(due)) == 1


def test_an_order_passes_what_waits() -> None:
    queue = SendQueue()
    for out in (item(DEALS, "deals"), item(TRADER, "trader"), item(ORDER, "order")):
        queue.put(out)
    assert [out.message_id for out in queue.take(0)] == ["order", "trader", "deals"]


def test_a_blocked_kind_waits_and_lets_the_others_pass() -> None:
    queue = SendQueue()
    queue.hold(TRADER, 5 * SECOND)
    queue.put(item(TRADER, "trader"))
    queue.put(item(DEALS, "deals"))
    assert [out.message_id for out in queue.take(0)] == ["deals"]
    assert queue.next_ns() == 5 * SECOND
    assert queue.held_until_ns(TRADER, 0) == 5 * SECOND
    assert [out.message_id for out in queue.take(5 * SECOND)] == ["trader"]
    assert queue.held_until_ns(TRADER, 5 * SECOND) is None


def test_a_message_can_be_taken_back() -> None:
    queue = SendQueue()
    queue.put(item(TRADER, "a"))
    queue.put(item(TRADER, "b"))
    queue.discard(["a", "unheard of"])
    assert [out.message_id for out in queue.take(0)] == ["b"]


def test_every_list_of_the_past_is_historical_and_reconcile_is_not() -> None:
    for name in ("OrderList", "DealList", "GetTickData", "GetTrendbars", "CashFlowHistoryList", "DealOffsetList"):
        assert is_historical(payload_type(f"ProtoOA{name}Req")), name
    assert not is_historical(payload_type("ProtoOAReconcileReq"))
