"""A second connection beside a conversation, over real TLS on loopback; whatever happens, no link is left."""

import os
import signal
from typing import Any

import pytest
from private_reactor import ACCOUNT, SECRETS, Bench, bench
from test_enquirer import CLIENT, accounts, loaded

from bot.ctrader.conversation import Beside, Listen, Silence
from bot.ctrader.schema import message
from bot.net.enquirer import EnquiryFailed, enquire

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def version() -> Any:
    return message("ProtoOAVersionReq")()


def test_a_script_beside_has_a_connection_of_its_own_and_its_result_comes_back(bench: Bench) -> None:
    server = bench.serve()
    seen: list[int] = []

    def other() -> Any:
        seen.append(len(server.venue.links))
        yield from accounts()
        return "other"

    def script() -> Any:
        outcome = yield Beside(other())
        reply = yield version()
        return outcome, reply.version

    assert enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor) == ("other", "0.9")
    assert seen == [2]
    assert server._clients == []


def test_a_refusal_of_the_other_one_comes_back_as_a_value(bench: Bench) -> None:
    bench.serve()

    def other() -> Any:
        yield message("ProtoOAAccountAuthReq")(ctidTraderAccountId=ACCOUNT, accessToken="wrong")

    def script() -> Any:
        return (yield Beside(other()))

    outcome = enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)
    assert isinstance(outcome, EnquiryFailed)
    assert outcome.exit_code == 3
    assert not any(secret in outcome.text for secret in SECRETS.values())


def test_an_interrupt_ends_both_and_no_link_is_left(bench: Bench) -> None:
    server = bench.serve()
    ended: list[str] = []

    def other() -> Any:
        try:
            bench.reactor.callLater(0.05, os.kill, os.getpid(), signal.SIGINT)
            yield Listen(60)
        finally:
            ended.append("other")

    def script() -> Any:
        try:
            yield Beside(other())
        finally:
            ended.append("first")

    with pytest.raises(EnquiryFailed) as failed:
        enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)
    assert failed.value.exit_code == 130
    assert sorted(ended) == ["first", "other"]
    assert server._clients == []


def test_a_time_limit_of_the_first_ends_the_other_as_well(bench: Bench) -> None:
    server = bench.serve()

    def other() -> Any:
        yield Listen(60)

    def script() -> Any:
        yield Beside(other())

    late: list[int] = []
    bench.reactor.callLater(10, lambda: (late.append(1), bench.reactor.stop()))  # the other's own limit is far longer
    with pytest.raises(EnquiryFailed, match=r"within 0\.2 s"):
        enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor, timeout_s=0.2)
    assert late == []
    assert server._clients == []


def test_a_silence_is_broken_by_the_venue_going_away(bench: Bench) -> None:
    server = bench.serve()

    def script() -> Any:
        bench.reactor.callLater(0.05, server.venue.links[0].drop, "idle")
        return (yield Silence(10))

    silent = enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)
    assert silent.why_lost is not None
    assert silent.ended_ns - silent.last_sent_ns < 5 * 10**9
