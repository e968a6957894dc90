"""One conversation over real TLS on loopback: the result, every way to fail, and a clean end."""

import os
import signal
import socket
from typing import Any

import pytest
from private_reactor import ACCOUNT, SECRETS, Bench, bench

from bot.config import ClientSecrets, Config, ConfigError, load_config
from bot.ctrader.enquiry import Listen
from bot.ctrader.schema import message
from bot.net.enquirer import EnquiryFailed, enquire, enquire_again

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

CLIENT = ClientSecrets(SECRETS["client_id"], SECRETS["client_secret"])


def loaded(bench: Bench, **changes: Any) -> Config:
    return load_config(bench.config(**changes), {})


def accounts() -> Any:
    reply = yield message("ProtoOAGetAccountListByAccessTokenReq")(accessToken=SECRETS["access_token"])
    return [account.ctidTraderAccountId for account in reply.ctidTraderAccount]


def test_the_script_s_result_comes_back_and_the_link_is_closed(bench: Bench) -> None:
    server = bench.serve()
    said: list[str] = []
    assert enquire(loaded(bench), CLIENT, accounts(), reactor=bench.reactor, on_progress=said.append) == [ACCOUNT]
    assert said == ["connected"]
    assert server._clients == []


def test_the_process_s_own_reactor_is_the_default(bench: Bench) -> None:
    bench.serve()
    assert enquire(loaded(bench), CLIENT, accounts()) == [ACCOUNT]


def test_a_wrong_secret_is_exit_3(bench: Bench) -> None:
    bench.serve()
    with pytest.raises(EnquiryFailed, match="client_secret") as failed:
        enquire(loaded(bench), ClientSecrets(SECRETS["client_id"], "wrong"), accounts(), reactor=bench.reactor)
    assert failed.value.exit_code == 3


@pytest.mark.slow
def test_a_closed_port_is_exit_4_when_the_connect_timeout_is_over(bench: Bench) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = loaded(bench, venue={"port": unused.getsockname()[1], "connect_timeout_s": 1})
        said: list[str] = []
        with pytest.raises(EnquiryFailed, match=r"within 1 s: .*connection refused") as failed:
            enquire(config, CLIENT, accounts(), reactor=bench.reactor, on_progress=said.append)
    assert failed.value.exit_code == 4
    assert said[0].endswith("trying again")


def test_a_certificate_that_does_not_verify_is_exit_4_at_once(bench: Bench) -> None:
    bench.serve()
    config = loaded(bench, venue={"ca_file": None, "connect_timeout_s": 600})
    with pytest.raises(EnquiryFailed, match="does not verify") as failed:
        enquire(config, CLIENT, accounts(), reactor=bench.reactor)
    assert failed.value.exit_code == 4


def test_a_root_file_that_cannot_be_used_is_a_config_error(bench: Bench) -> None:
    bench.serve()
    with pytest.raises(ConfigError, match=r"venue\.ca_file"):
        enquire(loaded(bench, venue={"ca_file": "/nowhere.pem"}), CLIENT, accounts(), reactor=bench.reactor)


def test_an_interrupt_lets_the_script_put_things_in_order_and_is_exit_130(bench: Bench) -> None:
    bench.serve()
    done = []

    def script() -> Any:
        try:
            yield Listen(60)
        finally:
            reply = yield message("ProtoOAVersionReq")()
            done.append(reply.version)

    bench.reactor.callLater(0.5, os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(EnquiryFailed) as failed:
        enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)
    assert failed.value.exit_code == 130
    assert done == ["0.9"]


def test_a_script_that_is_not_finished_in_time_is_exit_4(bench: Bench) -> None:
    bench.serve()

    def script() -> Any:
        yield Listen(60)

    with pytest.raises(EnquiryFailed, match=r"within 0\.2 s") as failed:
        enquire(loaded(bench), CLIENT, script(), timeout_s=0.2, reactor=bench.reactor)
    assert failed.value.exit_code == 4


def test_a_venue_that_goes_away_during_the_script_is_exit_4(bench: Bench) -> None:
    server = bench.serve()

    def script() -> Any:
        server._clients[0].transport.abortConnection()
        yield message("ProtoOATraderReq")(ctidTraderAccountId=ACCOUNT)

    with pytest.raises(EnquiryFailed, match="connection lost") as failed:
        enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)
    assert failed.value.exit_code == 4


def test_a_defect_of_the_script_keeps_its_traceback(bench: Bench) -> None:
    bench.serve()

    def script() -> Any:
        yield message("ProtoOAVersionReq")()
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        enquire(loaded(bench), CLIENT, script(), reactor=bench.reactor)


# -- again and again -------------------------------------------------------------------------------------------------


def test_a_lost_link_is_made_again_after_the_pause_until_a_script_ends(bench: Bench) -> None:
    server, said = bench.serve(), []
    links: list[int] = []

    def script() -> Any:
        links.append(len(server._clients))
        if len(links) < 3:
            server._clients[0].transport.abortConnection()
        return (yield from accounts())

    def pause_s(failed: EnquiryFailed) -> float | None:
        said.append(failed.text)
        return 0.01

    assert enquire_again(loaded(bench), CLIENT, script, pause_s, reactor=bench.reactor) == [ACCOUNT]
    assert links == [1, 1, 1]
    assert [text.startswith("connection lost") for text in said] == [True, True]


def test_only_a_drop_is_tried_again_and_no_pause_is_the_end(bench: Bench) -> None:
    server = bench.serve()
    said: list[str] = []

    def script() -> Any:
        server._clients[0].transport.abortConnection()
        yield message("ProtoOATraderReq")(ctidTraderAccountId=ACCOUNT)

    def pause_s(failed: EnquiryFailed) -> float | None:
        said.append(failed.text)
        return None

    with pytest.raises(EnquiryFailed, match="connection lost") as failed:
        enquire_again(loaded(bench), CLIENT, script, pause_s, reactor=bench.reactor)
    assert (failed.value.exit_code, len(said)) == (4, 1)


def test_what_is_no_drop_is_not_tried_again(bench: Bench) -> None:
    bench.serve()
    wrong = ClientSecrets(SECRETS["client_id"], "wrong")
    with pytest.raises(EnquiryFailed) as failed:
        enquire_again(loaded(bench), wrong, accounts, lambda failed: 0.0, reactor=bench.reactor)
    assert failed.value.exit_code == 3


def test_an_interrupt_during_the_pause_is_exit_130(bench: Bench) -> None:
    server = bench.serve()

    def script() -> Any:
        server._clients[0].transport.abortConnection()
        yield message("ProtoOATraderReq")(ctidTraderAccountId=ACCOUNT)

    def pause_s(_: EnquiryFailed) -> float | None:
        bench.reactor.callLater(0.1, os.kill, os.getpid(), signal.SIGINT)
        return 600.0

    with pytest.raises(EnquiryFailed) as failed:
        enquire_again(loaded(bench), CLIENT, script, pause_s, reactor=bench.reactor)
    assert failed.value.exit_code == 130


def test_an_interrupt_during_a_conversation_is_not_followed_by_another(bench: Bench) -> None:
    bench.serve()

    def script() -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        yield Listen(60)

    with pytest.raises(EnquiryFailed) as failed:
        enquire_again(loaded(bench), CLIENT, script, lambda failed: 0.0, reactor=bench.reactor)
    assert failed.value.exit_code == 130


def test_a_root_file_that_cannot_be_used_is_a_config_error_here_too(bench: Bench) -> None:
    bench.serve()
    config = loaded(bench, venue={"ca_file": "/nowhere.pem"})
    with pytest.raises(ConfigError, match=r"venue\.ca_file"):
        enquire_again(config, CLIENT, accounts, lambda failed: 0.0, reactor=bench.reactor)
