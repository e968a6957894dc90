"""The conversation engine behind one-off commands, against a clerk that answers from a table, on a clock of ints."""

from typing import Any

import pytest
from enquiry_clerk import SECOND, START, Clerk, build, refusing
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ctrader.enquiry import Enquiry, EnquiryFailed, EnquiryRefused, Listen, Timed, failure_of
from bot.ctrader.schema import envelope

VERSION = {"Version": lambda r: [build("VersionRes", version="87")]}


def version() -> Any:
    return build("VersionReq")


def once(request: Any) -> Any:
    return (yield request)


def test_the_application_is_authorised_first_and_the_result_is_what_the_script_returns() -> None:
    def script() -> Any:
        reply = yield version()
        return reply.version

    clerk = Clerk(script(), **VERSION).connect()
    assert clerk.names == ["ApplicationAuth", "Version"]
    assert clerk.asked[0][3].clientSecret == "the-secret"
    assert (clerk.enquiry.is_over, clerk.enquiry.result, clerk.enquiry.error) == (True, "87", None)


def test_nothing_is_asked_before_the_application_is_authorised() -> None:
    clerk = Clerk(once(version()), ApplicationAuth=lambda r: [])
    clerk.connect().wait(14.9)
    assert clerk.names == ["ApplicationAuth"]
    assert not clerk.enquiry.has_begun


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("CH_CLIENT_AUTH_FAILURE", 3, "client_secret"),
        ("CH_ACCESS_TOKEN_INVALID", 3, "auth login"),
        ("ACCOUNT_NOT_AUTHORIZED", 3, "no session"),
        ("SERVER_IS_UNDER_MAINTENANCE", 4, "maintenance"),
        ("A_CODE_OF_TOMORROW", 4, "A_CODE_OF_TOMORROW"),
    ],
)
def test_a_refusal_nobody_catches_ends_it_with_the_exit_code_of_the_contract(
    code: str, exit_code: int, words: str
) -> None:
    for replies in ({"ApplicationAuth": refusing(code, "no")}, {"Version": refusing(code, "no")}):
        clerk = Clerk(once(version()), **replies).connect()
        assert isinstance(clerk.enquiry.error, EnquiryRefused)
        failed = failure_of(clerk.enquiry.error)
        assert failed.exit_code == exit_code
        assert words in failed.text


def test_an_application_that_is_authorised_already_is_no_reason_to_stop() -> None:
    clerk = Clerk(once(version()), ApplicationAuth=refusing("CH_CLIENT_ALREADY_AUTHENTICATED"), **VERSION).connect()
    assert clerk.enquiry.error is None
    assert clerk.enquiry.result.version == "87"


def test_a_refusal_is_thrown_into_the_script_which_may_go_on() -> None:
    def script() -> Any:
        try:
            yield build("TraderReq")
        except EnquiryRefused as refused:
            reply = yield version()
            return refused.code, refused.description, refused.request_name, reply.version

    clerk = Clerk(script(), Trader=refusing("CH_SERVER_NOT_REACHABLE", "later"), **VERSION).connect()
    assert clerk.enquiry.result == ("CH_SERVER_NOT_REACHABLE", "later", "ProtoOATraderReq", "87")


@pytest.mark.parametrize(
    "error",
    [
        build("ErrorRes", errorCode="X", description="d"),
        build("ProtoErrorRes", errorCode="X", description="d"),
        build("OrderErrorEvent", errorCode="X", description="d"),
    ],
)
def test_every_form_of_error_refuses(error: Any) -> None:
    clerk = Clerk(
        once(build("NewOrderReq", symbolId=1, orderType=1, tradeSide=1, volume=1)), NewOrder=lambda r: [error]
    )
    refused = clerk.connect().enquiry.error
    assert isinstance(refused, EnquiryRefused)
    assert (refused.code, refused.description) == ("X", "d")


def test_an_error_without_a_message_id_is_about_the_only_request_there_is() -> None:
    clerk = Clerk(once(version())).connect()
    clerk.tell(build("ErrorRes", errorCode="X"))
    assert isinstance(clerk.enquiry.error, EnquiryRefused)
    assert clerk.enquiry.error.request_name == "ProtoOAVersionReq"


def test_a_list_is_sent_together_and_answered_in_its_own_order_with_refusals_as_values() -> None:
    def script() -> Any:
        return (yield [version(), build("TraderReq"), build("AssetListReq")])

    clerk = Clerk(script()).connect()
    (_, _, first, _), (_, _, second, _), (_, _, third, _) = clerk.asked[1:]
    assert len({time for time, *_ in clerk.asked[1:]}) == 1
    clerk.tell(build("AssetListRes"), third)
    clerk.tell(build("ErrorRes", errorCode="NOPE"), second)
    assert not clerk.enquiry.is_over
    clerk.tell(build("VersionRes", version="1"), first)
    replies = clerk.enquiry.result
    assert [type(reply).__name__ for reply in replies] == ["ProtoOAVersionRes", "EnquiryRefused", "ProtoOAAssetListRes"]


def test_an_empty_list_is_answered_at_once() -> None:
    assert Clerk(once([])).connect().enquiry.result == []


def test_timed_answers_tell_when_each_was_written_and_came_and_in_which_order() -> None:
    def script() -> Any:
        return (yield Timed(version(), build("TraderReq")))

    clerk = Clerk(script()).connect()
    (_, _, first, _), (_, _, second, _) = clerk.asked[1:]
    clerk.now_ns += 3 * SECOND
    clerk.tell(build("ErrorRes", errorCode="NOPE"), second)
    clerk.now_ns += SECOND
    clerk.tell(build("VersionRes", version="1"), first)
    one, two = clerk.enquiry.result
    assert (one.written_ns, one.recv_ns) == (START, START + 4 * SECOND)
    assert (two.written_ns, two.recv_ns) == (START, START + 3 * SECOND)
    assert two.place < one.place


def test_no_answer_within_fifteen_seconds_of_the_write_is_a_refusal_and_a_late_one_is_only_heard() -> None:
    def script() -> Any:
        try:
            yield version()
        except EnquiryRefused as refused:
            heard = yield Listen(5)
            return refused.code, heard

    clerk = Clerk(script()).connect()
    clerk.wait(14.999)
    assert not clerk.enquiry.is_over
    clerk.wait(0.001)
    clerk.tell(build("VersionRes", version="late"), clerk.asked[1][2])
    clerk.wait(5)
    code, heard = clerk.enquiry.result
    assert code == "TIMEOUT"
    assert [(h.message.version, h.message_id) for h in heard] == [("late", clerk.asked[1][2])]


def test_listening_gives_what_came_since_the_last_time_with_its_times_and_ids() -> None:
    def script() -> Any:
        yield version()
        first = yield Listen(2)
        second = yield Listen(2)
        return first, second

    clerk = Clerk(script(), Version=lambda r: [build("SpotEvent", symbolId=9), *VERSION["Version"](r)]).connect()
    clerk.tell(build("SpotEvent", symbolId=1))
    clerk.wait(1).tell(build("ExecutionEvent", executionType=3), clerk.asked[1][2])
    clerk.wait(1.5).tell(build("SpotEvent", symbolId=2))
    clerk.wait(2)
    first, second = clerk.enquiry.result
    # The clerk's spot 9 carried the request's id, and so was its reply: what came after is heard.
    assert [(h.recv_ns, h.message.DESCRIPTOR.name, h.message_id) for h in first] == [
        (START, "ProtoOAVersionRes", "run7-2"),
        (START, "ProtoOASpotEvent", None),
        (START + SECOND, "ProtoOAExecutionEvent", "run7-2"),
    ]
    assert [(h.recv_ns, h.message.symbolId) for h in second] == [(START + 2_500_000_000, 2)]


def test_listening_ends_early_at_what_it_waits_for_even_if_that_came_before() -> None:
    def script() -> Any:
        first = yield Listen(60, until=lambda m: m.symbolId == 2)
        yield version()
        second = yield Listen(60, until=lambda m: m.symbolId == 3)
        return first, second

    clerk = Clerk(script()).connect()
    clerk.tell(build("SpotEvent", symbolId=1))
    clerk.tell(build("SpotEvent", symbolId=2))
    clerk.tell(build("SpotEvent", symbolId=3))
    clerk.tell(build("VersionRes", version="1"), clerk.talk().asked[1][2])
    first, second = clerk.enquiry.result
    assert [h.message.symbolId for h in first] == [1, 2]
    assert [h.message.symbolId for h in second] == [3]


# -- limits ----------------------------------------------------------------------------------------------------------


def most_in_a_second(times_ns: list[int]) -> int:
    """The venue's view, naively: the most requests in any window of one second."""
    return max((sum(1 for t in times_ns if start <= t < start + SECOND) for start in times_ns), default=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["plain", "historical"]), min_size=1, max_size=140), st.integers(0, 2))
def test_no_second_holds_more_than_the_venue_allows(kinds: list[str], pause_s: int) -> None:
    def script() -> Any:
        requests = [build("VersionReq") if k == "plain" else build("DealListReq") for k in kinds]
        half = len(requests) // 2
        yield requests[:half]
        yield Listen(pause_s / 4)
        yield requests[half:]

    clerk = Clerk(script(), DealList=lambda r: [build("DealListRes", hasMore=False)], **VERSION).connect().wait(60)
    assert clerk.enquiry.is_over
    assert len(clerk.asked) == 1 + len(kinds)
    assert most_in_a_second([time for time, *_ in clerk.asked]) <= 50
    assert most_in_a_second([time for time, name, *_ in clerk.asked if name == "DealList"]) <= 5
    # And not slower than it must be: 5 historical ones a window of 1.05 s.
    historical = kinds.count("historical")
    assert clerk.asked[-1][0] - START <= (historical // 5 + len(kinds) // 50 + 3) * 1_050_000_000


def test_a_heartbeat_leaves_after_ten_idle_seconds_and_then_every_ten() -> None:
    clerk = Clerk(once(Listen(35))).connect().wait(35)
    assert [(t - START) / SECOND for t in clerk.heartbeats] == [10, 20, 30]


def test_a_frequency_refusal_is_waited_out_and_asked_again_under_a_new_id() -> None:
    answers = iter(
        [build("ErrorRes", errorCode="BLOCKED_PAYLOAD_TYPE", retryAfter=7), build("VersionRes", version="1")]
    )
    clerk = Clerk(once(version()), Version=lambda r: [next(answers)]).connect()
    clerk.wait(6.9)
    assert clerk.names.count("Version") == 1
    clerk.wait(0.2)
    assert clerk.enquiry.result.version == "1"
    assert clerk.asked[1][2] != clerk.asked[2][2]


def test_the_waiting_out_is_bounded() -> None:
    clerk = Clerk(once(version()), Version=refusing("REQUEST_FREQUENCY_EXCEEDED")).connect().wait(120)
    assert clerk.names.count("Version") == 4
    assert [(t - START) / SECOND for t, *_ in clerk.asked[1:]] == [0, 1, 3, 7]
    assert isinstance(clerk.enquiry.error, EnquiryRefused)
    long = Clerk(once(version()), Version=refusing("BLOCKED_PAYLOAD_TYPE", retryAfter=3600)).connect()
    assert isinstance(long.enquiry.error, EnquiryRefused)
    assert long.enquiry.error.retry_after_s == 3600


def test_an_order_is_never_sent_twice() -> None:
    order = build("NewOrderReq", symbolId=1, orderType=1, tradeSide=1, volume=1)
    clerk = Clerk(once(order), NewOrder=refusing("REQUEST_FREQUENCY_EXCEEDED", retryAfter=1)).connect().wait(60)
    assert clerk.names.count("NewOrder") == 1
    assert isinstance(clerk.enquiry.error, EnquiryRefused)


def test_no_message_id_is_used_twice_over_connections_and_repetitions() -> None:
    clerk = Clerk(once([version()] * 30), ApplicationAuth=lambda r: [])
    for _ in range(3):
        clerk.connect()
        clerk.enquiry.connection_lost(clerk.now_ns)
    clerk.replies |= {"ApplicationAuth": lambda r: [build("ApplicationAuthRes")]} | VERSION
    clerk.connect().wait(5)
    ids = [message_id for _, _, message_id, _ in clerk.asked]
    assert clerk.enquiry.error is None
    assert len(set(ids)) == len(ids) == 34


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_drop_refuses_what_waits_and_what_is_asked_after_it_and_the_script_still_ends_itself() -> None:
    told = []

    def script() -> Any:
        try:
            yield version()
        finally:
            for request in (build("TraderReq"), [build("TraderReq")], Listen(5)):
                try:
                    told.append((yield request))
                except EnquiryRefused as refused:
                    told.append(refused.code)

    clerk = Clerk(script()).connect()
    clerk.enquiry.connection_lost(clerk.now_ns, "cut")
    assert told[0] == "DISCONNECTED"
    assert told[1][0].code == "DISCONNECTED"
    assert told[2] == []
    assert clerk.enquiry.is_over
    assert failure_of(clerk.enquiry.error).exit_code == 4  # type: ignore[arg-type]
    assert clerk.enquiry.next_timeout_ns() is None
    assert clerk.talk().names == ["ApplicationAuth", "Version"]


def test_a_drop_ends_listening_with_what_was_heard() -> None:
    clerk = Clerk(once(Listen(60))).connect()
    clerk.tell(build("SpotEvent", symbolId=1))
    clerk.enquiry.connection_lost(clerk.now_ns)
    assert [h.message.symbolId for h in clerk.enquiry.result] == [1]


def test_the_venue_ending_the_client_is_a_drop() -> None:
    clerk = Clerk(once(version())).connect()
    clerk.tell(build("ClientDisconnectEvent", reason="too many"))
    failed = failure_of(clerk.enquiry.error)  # type: ignore[arg-type]
    assert (failed.exit_code, "too many" in failed.text) == (4, True)


def test_a_stopped_script_may_put_things_in_order_and_the_reason_stays() -> None:
    def script() -> Any:
        try:
            yield Listen(60)
        finally:
            yield version()
            yield Listen(1)

    clerk = Clerk(script(), **VERSION).connect()
    stop = EnquiryFailed(130, "interrupted")
    clerk.enquiry.stop(stop, clerk.now_ns)
    clerk.talk()
    assert not clerk.enquiry.is_over
    clerk.wait(1)
    assert clerk.enquiry.error is stop
    assert clerk.names[-1] == "Version"


def test_a_stop_outlasts_a_refusal_in_the_clean_up_and_a_return() -> None:
    def refused_while_cleaning() -> Any:
        try:
            yield Listen(60)
        finally:
            yield version()

    def returning() -> Any:
        try:
            yield Listen(60)
        except EnquiryFailed:
            return 7

    for script in (refused_while_cleaning(), returning()):
        clerk = Clerk(script, Version=refusing("X")).connect()
        stop = EnquiryFailed(130, "interrupted")
        clerk.enquiry.stop(stop, clerk.now_ns)
        clerk.talk()
        assert clerk.enquiry.is_over
        assert clerk.enquiry.error is stop


def test_a_second_stop_ends_it_at_once_and_so_does_one_before_the_script_runs() -> None:
    def script() -> Any:
        try:
            yield Listen(60)
        finally:
            yield version()

    clerk = Clerk(script()).connect()
    for _ in range(2):
        clerk.enquiry.stop(EnquiryFailed(130, "interrupted"), clerk.now_ns)
    assert clerk.enquiry.is_over
    early = Clerk(script())
    early.enquiry.stop(EnquiryFailed(130, "interrupted"), early.now_ns)
    assert early.enquiry.is_over


def test_an_order_that_waits_its_turn_when_it_is_stopped_is_never_sent() -> None:
    def script() -> Any:
        try:
            yield [version()] * 60 + [build("NewOrderReq", symbolId=1, orderType=1, tradeSide=1, volume=1)]
        finally:
            yield Listen(5)

    clerk = Clerk(script()).connect()
    clerk.enquiry.stop(EnquiryFailed(130, "interrupted"), clerk.now_ns)
    clerk.wait(6)
    assert clerk.enquiry.is_over
    assert "NewOrder" not in clerk.names


def test_a_defect_of_the_script_is_kept_as_it_is() -> None:
    def script() -> Any:
        yield version()
        raise KeyError("ours")

    assert isinstance(Clerk(script(), **VERSION).connect().enquiry.error, KeyError)


def test_a_peer_of_another_protocol_is_exit_4_and_an_unknown_message_is_skipped() -> None:
    clerk = Clerk(once(Listen(60))).connect()
    clerk.enquiry.receive_frame(b"\x08\xd0\x0f", clerk.now_ns)  # payload type 2000: nobody's
    assert not clerk.enquiry.is_over
    clerk.enquiry.receive_frame(b"HTTP/1.1 400", clerk.now_ns)
    assert isinstance(clerk.enquiry.error, EnquiryFailed)
    assert clerk.enquiry.error.exit_code == 4
    clerk.enquiry.receive_frame(envelope(build("VersionRes", version="1")), clerk.now_ns)  # and now nothing matters


def test_no_refusal_shows_a_secret() -> None:
    enquiry: Enquiry[Any] = Enquiry(once(version()), "the-client-id", "the-secret", "r")
    shown = repr(EnquiryRefused("X", "d", "R")) + repr(enquiry) + failure_of(EnquiryRefused("X")).text
    assert "the-secret" not in shown
    assert EnquiryRefused("ALREADY_LOGGED_IN").is_done_already
