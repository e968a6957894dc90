"""How many requests pass, and what happens to the others."""

from fault_bench import bench
from hypothesis import given
from hypothesis import strategies as st
from venue_client import ACCOUNT, SECOND, Client, Desk

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message, payload_type
from bot.sim.rate_limits import Blocks, RateGate, RateLimits

VERSION, DEALS, ORDER = (payload_type(f"ProtoOA{name}Req") for name in ("Version", "DealList", "NewOrder"))
SCHEDULES = st.lists(st.tuples(st.integers(0, 200_000_000), st.sampled_from([VERSION, DEALS, ORDER])), max_size=200)


def most_in_a_window(times: list[int], window_ns: int) -> int:
    return max((sum(first <= other < first + window_ns for other in times) for first in times), default=0)


@given(SCHEDULES, st.booleans())
def test_whatever_is_sent_no_window_lets_more_pass_than_its_limit_and_none_is_refused_without_need(
    schedule: list[tuple[int, int]], count_refused: bool
) -> None:
    limits = RateLimits(requests_per_s=4, historical_per_s=2, count_refused=count_refused)
    gate, now_ns = RateGate(limits), 0
    passed: dict[bool, list[int]] = {False: [], True: []}
    tried: dict[bool, list[int]] = {False: [], True: []}
    for wait_ns, kind in schedule:
        now_ns += wait_ns
        historical = kind == DEALS
        refusal = gate.refusal(kind, now_ns)
        counted = tried if count_refused else passed
        recent = sum(time_ns > now_ns - SECOND for time_ns in counted[historical])
        assert (refusal is not None) == (recent >= (2 if historical else 4))
        if refusal is None:
            passed[historical].append(now_ns)
        tried[historical].append(now_ns)
    assert most_in_a_window(passed[False], SECOND) <= 4
    assert most_in_a_window(passed[True], SECOND) <= 2


def test_whether_refused_requests_fill_the_window_is_a_choice() -> None:
    times = [0, 0, SECOND // 2, SECOND + 1]
    for count_refused, last in ((False, None), (True, "REQUEST_FREQUENCY_EXCEEDED")):
        gate = RateGate(RateLimits(requests_per_s=1, count_refused=count_refused))
        refusals = [gate.refusal(VERSION, time_ns) for time_ns in times]
        assert (refusals[-1].code if refusals[-1] else None) == last


@given(st.lists(st.integers(0, 300_000_000), max_size=60), st.booleans(), st.booleans())
def test_a_blocked_type_passes_only_after_the_seconds_it_was_told(waits: list[int], extends: bool, tells: bool) -> None:
    blocks, now_ns, until_ns = Blocks(), 0, 2 * SECOND
    blocks.start(ORDER, 0, 2 * SECOND, extends=extends, tells_retry_after=tells)
    for wait_ns in waits:
        now_ns += wait_ns
        refusal = blocks.refusal(ORDER, now_ns)
        assert (refusal is not None) == (now_ns < until_ns)
        assert blocks.refusal(VERSION, now_ns) is None
        if refusal is not None:
            until_ns = now_ns + 2 * SECOND if extends else until_ns
            assert refusal.code == "BLOCKED_PAYLOAD_TYPE"
            if tells:
                assert refusal.retry_after_s is not None
                assert until_ns - now_ns <= refusal.retry_after_s * SECOND < until_ns - now_ns + SECOND
            else:
                assert refusal.retry_after_s is None


def flood(client: Client, name: str, count: int) -> list[str]:
    """The codes, or names, of the answers to many requests at once."""
    cls = message(name)
    fields = {"ctidTraderAccountId": ACCOUNT} if "ctidTraderAccountId" in cls.DESCRIPTOR.fields_by_name else {}
    client.link.receive(frame(envelope(cls(**fields), "many")) * count, client.desk.now_ns)
    answers = client.received()
    assert {msg_id for msg_id, _ in answers} == {"many"}
    return [getattr(body, "errorCode", "") or body.DESCRIPTOR.name for _, body in answers]


def test_a_link_takes_fifty_requests_a_second_and_five_historical_ones_besides() -> None:
    desk = Desk()
    client = desk.client()
    desk.wait(1)
    assert flood(client, "ProtoOAVersionReq", 53) == ["ProtoOAVersionRes"] * 50 + ["REQUEST_FREQUENCY_EXCEEDED"] * 3
    assert flood(client, "ProtoOADealListReq", 6) == ["ProtoOADealListRes"] * 5 + ["REQUEST_FREQUENCY_EXCEEDED"]
    other = desk.client()
    assert flood(other, "ProtoOAVersionReq", 1) == ["ProtoOAVersionRes"], "limits are each connection's own"
    desk.wait(1)
    assert flood(client, "ProtoOAVersionReq", 1) == ["ProtoOAVersionRes"]
    log = desk.venue.stage.request_log
    assert log.max_in_window(SECOND, historical=False, link=1) == 53
    assert log.max_in_window(SECOND, historical=False, link=1, outcome="accepted") == 50
    assert log.max_in_window(SECOND, historical=True, link=1, outcome="accepted") == 5


def test_a_request_over_the_limit_is_not_executed() -> None:
    desk = Desk(options={"rate_limits": RateLimits(requests_per_s=3)})
    client = desk.client()
    fields = {"symbolId": 1, "orderType": 1, "tradeSide": 1, "volume": 100_000}
    assert len(client.send("ProtoOANewOrderReq", **fields)) == 2
    refused = client.ask("ProtoOANewOrderReq", **fields)
    assert (refused.errorCode, refused.ctidTraderAccountId) == ("REQUEST_FREQUENCY_EXCEEDED", ACCOUNT)
    assert len(desk.account.positions) == 1


def test_heartbeats_do_not_count_as_requests_but_are_logged() -> None:
    desk = Desk()
    client = desk.client()
    desk.wait(1)
    beat = frame(envelope(message("ProtoHeartbeatEvent")()))
    client.link.receive(beat * 100, desk.now_ns)
    assert flood(client, "ProtoOAVersionReq", 50) == ["ProtoOAVersionRes"] * 50
    log = desk.venue.stage.request_log
    now_ns = desk.now_ns
    assert len(log.sent_between(payload_type("ProtoHeartbeatEvent"), now_ns, now_ns + 1)) == 100
    assert log.max_in_window(SECOND) == 50


def test_refusals_that_come_too_thick_block_their_type_for_a_while() -> None:
    limits = RateLimits(requests_per_s=5, block_after=3, block_for_ns=4 * SECOND)
    desk = Desk(options={"rate_limits": limits})
    client = desk.client()
    desk.wait(1)
    codes = flood(client, "ProtoOAVersionReq", 10)
    assert codes == ["ProtoOAVersionRes"] * 5 + ["REQUEST_FREQUENCY_EXCEEDED"] * 3 + ["BLOCKED_PAYLOAD_TYPE"] * 2
    desk.wait(3)
    blocked = client.ask("ProtoOAVersionReq")
    assert (blocked.errorCode, blocked.retryAfter) == ("BLOCKED_PAYLOAD_TYPE", 1)
    assert client.ask("ProtoOATraderReq").DESCRIPTOR.name == "ProtoOATraderRes"
    desk.wait(1)
    assert client.ask("ProtoOAVersionReq").DESCRIPTOR.name == "ProtoOAVersionRes"


def test_a_block_may_be_extended_by_what_is_sent_meanwhile() -> None:
    limits = RateLimits(requests_per_s=2, block_after=1, block_for_ns=2 * SECOND, refused_extend=True)
    gate = RateGate(limits)
    outcomes = [gate.refusal(VERSION, round(at * SECOND)) for at in (0, 0, 0, 1.5, 3.4, 5.5)]
    codes = [None if refusal is None else refusal.code for refusal in outcomes]
    blocked = "BLOCKED_PAYLOAD_TYPE"
    assert codes == [None, None, "REQUEST_FREQUENCY_EXCEEDED", blocked, blocked, None]


def test_the_platform_s_limits_cost_a_minute_of_all_trading() -> None:
    gate = RateGate(RateLimits(requests_per_s=10**6, platform=True))
    cancel = payload_type("ProtoOACancelOrderReq")
    assert all(gate.refusal(cancel, 0) is None for _ in range(100))
    refused = gate.refusal(cancel, SECOND)
    assert refused is not None
    assert (refused.code, refused.retry_after_s) == ("BLOCKED_PAYLOAD_TYPE", 60)
    assert gate.refusal(ORDER, 60 * SECOND) is not None
    assert gate.refusal(VERSION, 60 * SECOND) is None
    assert gate.refusal(ORDER, 61 * SECOND) is None


def test_the_platform_s_limits_are_off_by_default() -> None:
    gate = RateGate(RateLimits(requests_per_s=10**6))
    assert all(gate.refusal(payload_type("ProtoOACancelOrderReq"), 0) is None for _ in range(1_000))


def test_the_log_forgets_the_oldest_first_and_keeps_codes_of_refusals() -> None:
    desk = bench()
    client = desk.client(stage="connected")
    client.send("ProtoOAVersionReq")
    client.send("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    client.send("ProtoOACancelOrderReq", orderId=9)
    entries = list(desk.venue.stage.request_log)
    assert [entry.outcome for entry in entries] == [
        "CH_CLIENT_NOT_AUTHENTICATED", "accepted", "ACCOUNT_NOT_AUTHORIZED"]  # fmt: skip
    assert entries[-1].account_id == ACCOUNT
    assert entries[0].account_id is None


@given(SCHEDULES, st.integers(1, 2 * SECOND))
def test_the_log_s_thickest_window_is_what_counting_one_by_one_finds(
    schedule: list[tuple[int, int]], window_ns: int
) -> None:
    from bot.sim.request_log import Heard, RequestLog

    log, now_ns, times = RequestLog(150), 0, []
    for wait_ns, kind in schedule:
        now_ns += wait_ns
        log.note(Heard(now_ns, 1, kind, None, "accepted"))
        times.append((now_ns, kind))
    kept = times[-150:]
    assert log.max_in_window(window_ns) == most_in_a_window([t for t, _ in kept], window_ns)
    deals = [t for t, kind in kept if kind == DEALS]
    assert log.max_in_window(window_ns, historical=True) == most_in_a_window(deals, window_ns)
