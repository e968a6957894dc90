"""What a conversation does only when its script asks for it: unpaced requests, silence, a second one beside it."""

from typing import Any

import pytest
from enquiry_clerk import SECOND, START, Clerk, build, refusing

from bot.ctrader.conversation import Beside, Heard, Listen, Silence, Silent, Timed
from bot.ctrader.enquiry import EnquiryFailed, EnquiryRefused
from bot.ctrader.schema import envelope, message

VERSION = {"Version": lambda r: [build("VersionRes", version="1")]}


def version() -> Any:
    return build("VersionReq")


def once(asked: Any) -> Any:
    return (yield asked)


def test_unpaced_requests_all_leave_at_once_and_what_follows_keeps_the_limits_again() -> None:
    def script() -> Any:
        yield Timed(*(version() for _ in range(60)), unpaced=True)
        yield version()

    clerk = Clerk(script(), **VERSION).connect()
    assert len(clerk.asked) == 61
    assert {time for time, *_ in clerk.asked} == {START}
    clerk.wait(2)
    assert clerk.enquiry.is_over
    assert clerk.asked[-1][0] - START >= SECOND


@pytest.mark.parametrize("code", ["REQUEST_FREQUENCY_EXCEEDED", "BLOCKED_PAYLOAD_TYPE"])
def test_a_refused_unpaced_request_is_handed_over_and_never_asked_again(code: str) -> None:
    clerk = Clerk(once(Timed(version(), unpaced=True)), Version=refusing(code, retryAfter=2)).connect().wait(60)
    (answer,) = clerk.enquiry.result
    assert isinstance(answer.reply, EnquiryRefused)
    assert (answer.reply.code, answer.reply.retry_after_s) == (code, 2)
    assert clerk.names.count("Version") == 1


def test_in_a_silence_no_heartbeat_leaves_and_after_it_they_do_again() -> None:
    def script() -> Any:
        silent = yield Silence(35)
        heard = yield Listen(15)
        return silent, heard

    clerk = Clerk(script(), **VERSION).connect().wait(5)
    clerk.wait(24.9)
    clerk.tell(build("SpotEvent", symbolId=1))
    clerk.talk()  # as a caller does after everything that came
    clerk.wait(5)
    assert clerk.heartbeats == []
    clerk.wait(20)
    silent, heard = clerk.enquiry.result
    assert silent == Silent(START, START + 35 * SECOND, None)
    assert [type(one) for one in heard] == [Heard], "what came meanwhile is not lost"
    assert clerk.heartbeats == [START + 35 * SECOND, START + 45 * SECOND]


def test_a_silence_ends_with_the_link_and_tells_why() -> None:
    clerk = Clerk(once(Silence(100)), **VERSION).connect().wait(40)
    clerk.enquiry.connection_lost(clerk.now_ns, "idle")
    assert clerk.enquiry.result == Silent(START, START + 40 * SECOND, "idle")


def test_a_silence_without_a_link_is_over_at_once() -> None:
    def script() -> Any:
        yield Silence(10)
        return (yield Silence(10))

    clerk = Clerk(script(), **VERSION).connect().wait(1)
    clerk.enquiry.connection_lost(clerk.now_ns, "gone")
    assert clerk.enquiry.result.why_lost == "gone"


def test_a_stopped_silence_sends_heartbeats_again() -> None:
    def script() -> Any:
        try:
            yield Silence(100)
        finally:
            yield Listen(15)

    clerk = Clerk(script(), **VERSION).connect().wait(5)
    clerk.enquiry.stop(EnquiryFailed(130, "interrupted"), clerk.now_ns)
    clerk.wait(20)
    assert len(clerk.heartbeats) == 1
    assert isinstance(clerk.enquiry.error, EnquiryFailed)


def beside(*, also: Any = None) -> Any:
    def script() -> Any:
        outcome = yield Beside(once(version()))
        heard = yield Listen(0)
        return outcome, [one.message.symbolId for one in heard]

    return script()


def test_a_conversation_beside_is_handed_out_once_with_ids_of_its_own_and_its_result_comes_back() -> None:
    clerk = Clerk(beside()).connect()
    second = clerk.enquiry.take_beside()
    assert second is not None
    assert clerk.enquiry.take_beside() is None
    second.connection_made(START)
    (auth,) = second.data_to_send(START)
    assert b"the-secret" in auth
    other_id = message("ProtoMessage").FromString(auth[4:]).clientMsgId
    ours = clerk.asked[0][2]
    assert other_id.startswith("run7-")
    assert not other_id.removeprefix(ours.rstrip("0123456789")).isdigit(), "the first never gives out such an id"
    clerk.tell(build("SpotEvent", symbolId=7))
    clerk.wait(12)
    assert clerk.heartbeats, "the first goes on living"
    clerk.enquiry.beside_over("seen", clerk.now_ns)
    assert clerk.enquiry.result == ("seen", [7])


def test_a_failure_of_the_other_one_is_a_value_and_a_defect_is_thrown() -> None:
    clerk = Clerk(beside()).connect()
    failed = EnquiryFailed(4, "no conversation")
    clerk.enquiry.beside_over(failed, clerk.now_ns)
    assert clerk.enquiry.result[0] is failed
    broken = Clerk(beside()).connect()
    broken.enquiry.beside_over(ZeroDivisionError("ours"), broken.now_ns)
    assert isinstance(broken.enquiry.error, ZeroDivisionError)


def test_without_a_connection_there_is_nothing_beside_it() -> None:
    def script() -> Any:
        yield Listen(10)
        return (yield Beside(once(version())))

    clerk = Clerk(script()).connect()
    clerk.enquiry.connection_lost(clerk.now_ns, "gone")
    assert clerk.enquiry.take_beside() is None
    assert isinstance(clerk.enquiry.result, EnquiryFailed)
    assert clerk.enquiry.result.text == "gone"


def test_a_stopped_script_waits_for_nothing_beside_it() -> None:
    clerk = Clerk(beside()).connect()
    clerk.enquiry.stop(EnquiryFailed(130, "interrupted"), clerk.now_ns)
    assert clerk.enquiry.is_over
    assert clerk.enquiry.take_beside() is None
    clerk.enquiry.beside_over("late", clerk.now_ns)
    clerk.enquiry.receive_frame(envelope(build("SpotEvent", symbolId=1)), clerk.now_ns)
    assert isinstance(clerk.enquiry.error, EnquiryFailed)
