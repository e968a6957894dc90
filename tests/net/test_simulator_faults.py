"""Faults over a transport: segments one by one, a socket that is not read, an end that is a reset, and the log."""

import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_simulator import COMMAND, ROOT, Bench, Transport, _log_in, _names, _send
from twisted.logger import globalLogPublisher

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import envelope, message
from bot.sim.faults.link_faults import Drop, Latency, Silence, SlowReader, Split
from bot.sim.faults.session_faults import ClientDisconnect, RefuseConnections

SECOND = 1_000_000_000


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.server.stop()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: Any) -> None:
        lines.append(str(event.get("line") or event.get("reason") or ""))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def connected(bench: Bench) -> tuple[Any, Transport, list[int]]:
    """A client, its transport, and the size of each write from now on."""
    protocol, transport = bench.client()
    _send(protocol, "ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    transport.clear()
    sizes: list[int] = []
    write = transport.write

    def note(data: bytes) -> None:
        if data:
            sizes.append(len(data))
        write(data)

    transport.write = note  # type: ignore[method-assign]
    return protocol, transport, sizes


def test_segments_are_written_one_in_each_turn_of_the_reactor(bench: Bench) -> None:
    protocol, transport, sizes = connected(bench)
    bench.server.venue.stage.fire(Split(4))
    _send(protocol, "ProtoOAVersionReq")
    assert sizes == [4], "the next one waits for the reactor's next turn"
    bench.pass_time(0.5)
    assert len(sizes) > 3
    assert set(sizes[:-1]) == {4}
    assert _names(transport) == ["ProtoOAVersionRes"]


def test_what_comes_while_segments_wait_is_written_after_them(bench: Bench) -> None:
    protocol, transport, sizes = connected(bench)
    bench.server.venue.stage.fire(Split(3))
    for _ in range(3):
        _send(protocol, "ProtoOAVersionReq")
    bench.pass_time(1)
    assert len(sizes) > 12
    assert _names(transport) == ["ProtoOAVersionRes"] * 3


def test_a_latency_is_kept_by_the_timer(bench: Bench) -> None:
    protocol, transport, _ = connected(bench)
    bench.server.venue.stage.fire(Latency(outbound_ns=SECOND // 2))
    _send(protocol, "ProtoOAVersionReq")
    bench.pass_time(0.4)
    assert transport.value() == b""
    bench.pass_time(0.2)
    assert _names(transport) == ["ProtoOAVersionRes"]


def test_a_slow_reader_s_socket_is_not_read_until_it_is_over(bench: Bench) -> None:
    protocol, transport, _ = connected(bench)
    bench.server.venue.stage.fire(SlowReader(), for_ns=2 * SECOND)
    bench.pass_time(0.5)
    assert transport.producerState == "paused"
    _send(protocol, "ProtoOAVersionReq")  # what was on its way already
    bench.pass_time(1)
    assert transport.value() == b""
    bench.pass_time(1)
    assert transport.producerState == "producing"
    assert _names(transport) == ["ProtoOAVersionRes"]


@pytest.mark.parametrize("abort", [False, True])
def test_a_drop_is_an_orderly_end_or_a_reset(bench: Bench, abort: bool) -> None:
    _, transport, _ = connected(bench)
    bench.server.venue.stage.fire(Drop(abort=abort))
    bench.pass_time(0.5)
    assert (transport.aborted, transport.disconnecting) == (abort, not abort)


def test_the_last_words_before_an_orderly_end_are_sent_whole_though_they_were_split(bench: Bench) -> None:
    _, transport, _ = connected(bench)
    bench.server.venue.stage.fire(Split(3))
    bench.server.venue.stage.fire(ClientDisconnect())
    bench.pass_time(0.5)
    assert _names(transport) == ["ProtoOAClientDisconnectEvent"]
    assert transport.disconnecting


def test_a_refused_connection_is_reset_at_once(bench: Bench) -> None:
    bench.server.venue.stage.fire(RefuseConnections(), for_ns=SECOND)
    _, transport = bench.client()
    assert transport.aborted
    bench.pass_time(1.1)
    _, transport = bench.client()
    assert not transport.aborted


def test_silence_sends_nothing_and_the_market_comes_back_after_it(bench: Bench) -> None:
    protocol, transport = bench.client()
    _log_in(protocol)
    bench.pass_time(1)
    transport.clear()
    bench.server.venue.stage.fire(Silence(), for_ns=3 * SECOND)
    bench.pass_time(2.9)
    assert transport.value() == b""
    bench.pass_time(2)
    assert "ProtoOADepthEvent" in _names(transport)


def test_each_fault_is_one_line_of_the_log_with_what_and_why(bench: Bench, logged: list[str]) -> None:
    connected(bench)
    bench.server.venue.stage.fire(Silence(), for_ns=3 * SECOND)
    (line,) = [line for line in logged if line.startswith("fault")]
    assert line == "fault silence (by hand) [for 3 s]: Silence(direction='both', fate='lost')"


@pytest.mark.slow
def test_the_command_plays_a_file_over_real_tls_and_says_so_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    split = "  - {on_connect: 1, split: {size_bytes: 5}}\n"
    drop = "  - {on_request: ProtoOAVersionReq, nth: 2, drop: {when: after_reply}}\n"
    path.write_text(f"faults:\n{split}{drop}", encoding="utf-8")
    with subprocess.Popen(
        [*COMMAND, "--faults", str(path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            ready = json.loads(server.stdout.readline())
            context = ssl.create_default_context(cafile=ready["ca_file"])
            with (
                socket.create_connection(("127.0.0.1", ready["port"]), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                auth = message("ProtoOAApplicationAuthReq")
                body = auth(clientId=ready["client_id"], clientSecret=ready["client_secret"])
                secure.sendall(frame(envelope(body, "1")))
                first = [secure.recv(65_536), secure.recv(65_536)]
                secure.sendall(frame(envelope(message("ProtoOAVersionReq")(), "2")) * 2)
                rest = b""
                while piece := secure.recv(65_536):
                    rest += piece
        finally:
            server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=10)
    assert [len(piece) for piece in first] == [5, 5]
    assert len(FrameReader().receive(b"".join(first) + rest)) == 3
    assert "fault split (connection 1)" in err
    assert "fault drop (request 2 of ProtoOAVersionReq)" in err
    assert ready["client_secret"] not in err
