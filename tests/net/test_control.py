"""The control socket over real Unix sockets: who is heard, what is answered, and that no client can do harm."""

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher
from unix_client import Client, HandTurned, turned

from bot.net import control, control_place
from bot.net.control import LONGEST_REQUEST, MOST_CLIENTS, ControlPort
from bot.net.control_place import ControlPlace, ControlUnavailable

__all__ = ["turned"]
NAMES = ("control.sock", "control-7-trade.sock")


class Served:
    """A control socket, and the requests that reached its owner."""

    def __init__(self, turned: HandTurned, directory: Path) -> None:
        self.turned, self.requests = turned, list[dict[str, Any]]()
        self.reply: Callable[[dict[str, Any]], dict[str, Any]] = lambda request: {"ok": True, "status": {}}
        self.path = directory / NAMES[0]
        self.port = ControlPort(turned.reactor, ControlPlace(directory, NAMES), self._answer)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        return self.reply(request)

    def client(self) -> Client:
        return Client(self.turned, self.path)


def _until_left(one: Served) -> None:
    one.turned.until(lambda: one.port._place._lock is None)
    assert not one.path.exists()


@pytest.fixture
def served(turned: HandTurned, tmp_path: Path) -> Iterator[Served]:
    one = Served(turned, tmp_path / "state")
    one.port.start()
    yield one
    one.port.stop()
    turned.until(lambda: not one.path.exists())


def test_a_request_is_answered_with_one_line_and_the_connection_ends(served: Served) -> None:
    served.reply = lambda request: {"ok": True, "status": {"equity": None, "text": "5 €\nand more"}}
    reply = served.client().send(b'{"command": "status"}\n').reply()
    assert reply == {"ok": True, "status": {"equity": None, "text": "5 €\nand more"}}
    assert served.requests == [{"command": "status"}]


def test_a_request_may_come_in_any_pieces(served: Served) -> None:
    client = served.client()
    for byte in b'{"command": "halt"}\n':
        client.send(bytes([byte]))
        served.turned.reactor.iterate(0)
    assert client.reply()["ok"]
    assert served.requests == [{"command": "halt"}]


def test_only_the_first_line_counts(served: Served) -> None:
    assert served.client().send(b'{"command": "halt"}\n{"command": "resume"}\n').reply()["ok"]
    assert served.requests == [{"command": "halt"}]


def test_directory_and_socket_are_for_their_owner_alone(served: Served) -> None:
    assert stat.S_IMODE(served.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


GARBAGE = [
    b"\n",
    b"\xff\xfe\x00\x01\n",
    b"GET / HTTP/1.1\r\n",
    b"[1, 2]\n",
    b'"halt"\n',
    b"null\n",
    b"[" * 4000 + b"\n",
    b'{"command": "halt"\n',
    b"NaN\n",
    b"1" * 4095 + b"\n",
    b"x" * (LONGEST_REQUEST + 1),
    b'{"command": "' + b"h" * LONGEST_REQUEST + b'"}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_refused_in_one_line_and_reaches_nobody(garbage: bytes, served: Served) -> None:
    reply = served.client().send(garbage).reply()
    assert reply["ok"] is False
    assert "\n" not in reply["error"] and "Traceback" not in reply["error"] and "File" not in reply["error"]
    assert served.requests == []
    assert served.client().send(b'{"command": "status"}\n').reply()["ok"], "the next one is heard"


def test_endless_data_without_a_line_ends_at_the_limit(served: Served) -> None:
    client = served.client()

    def is_put_out() -> bool:
        try:
            client.socket.send(b"x" * 65_536)
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    served.turned.until(is_put_out)
    assert served.requests == []
    assert served.client().send(b'{"command": "status"}\n').reply()["ok"]


def test_a_client_that_says_nothing_is_put_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LONGEST_S", 0.02)
    client = served.client()
    served.turned.until(client.read)
    assert client.received == b""


def test_a_client_that_reads_nothing_is_put_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LONGEST_S", 0.02)
    served.reply = lambda request: {"ok": True, "status": {"text": "x" * 3_000_000}}
    served.client().send(b'{"command": "status"}\n')
    served.turned.until(lambda: served.requests)
    served.turned.until(lambda: not served.port._factory.clients)


def test_many_silent_clients_do_not_keep_the_next_one_out(served: Served) -> None:
    silent = [served.client() for _ in range(MOST_CLIENTS)]
    served.turned.until(lambda: len(served.port._factory.clients) == MOST_CLIENTS)
    assert served.client().send(b'{"command": "halt"}\n').reply()["ok"]
    served.turned.until(silent[0].read)
    assert [client.read() for client in silent[1:]] == [False] * (MOST_CLIENTS - 1)


def test_a_client_that_leaves_before_its_answer_harms_nothing(served: Served) -> None:
    for _ in range(MOST_CLIENTS):
        served.client().send(b'{"command": "halt"}\n').socket.close()
    served.turned.until(lambda: len(served.requests) == MOST_CLIENTS)
    served.turned.until(lambda: not served.port._factory.clients)
    assert served.client().send(b'{"command": "status"}\n').reply()["ok"]


def test_an_error_of_ours_is_logged_here_and_told_without_details(served: Served) -> None:
    logged: list[Any] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        served.reply = lambda request: {}["secret-9b8a7c6d5e4f"]
        reply = served.client().send(b'{"command": "status"}\n').reply()
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert reply == {"ok": False, "error": "the bot could not answer; its log says why"}
    assert any(event.get("log_failure") is not None for event in logged)


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [os.geteuid() + 1, 0 if os.geteuid() else 1])
def test_another_user_is_refused_before_a_word_is_heard(
    uid: int, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_place, "peer_uid", lambda connection: uid)
    reply = served.client().send(b'{"command": "halt"}\n').reply()
    assert reply == {"ok": False, "error": "only the user who has started the bot may steer it"}
    assert served.requests == []


def test_a_peer_whose_user_cannot_be_read_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: socket.socket) -> int:
        raise OSError("no credentials")

    monkeypatch.setattr(control_place, "peer_uid", fails)
    assert not served.client().send(b'{"command": "halt"}\n').reply()["ok"]
    assert served.requests == []


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert control_place.peer_uid(left) in (os.geteuid(), None)


# -- whose the socket is -----------------------------------------------------------------------------------------------


def test_the_socket_goes_with_the_run_and_the_next_run_has_it(turned: HandTurned, tmp_path: Path) -> None:
    for _ in range(2):
        one = Served(turned, tmp_path)
        one.port.start()
        assert one.client().send(b'{"command": "status"}\n').reply()["ok"]
        one.port.stop()
        _until_left(one)


def test_a_socket_that_a_killed_run_left_is_replaced(turned: HandTurned, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / NAMES[0]))
        left.listen()
    (tmp_path / f"{NAMES[0]}.lock").touch()
    one = Served(turned, tmp_path)
    one.port.start()
    assert one.client().send(b'{"command": "status"}\n').reply()["ok"]
    one.port.stop()


def test_a_socket_that_somebody_serves_is_not_replaced(turned: HandTurned, tmp_path: Path) -> None:
    """Another run takes the second name; where that is taken as well it goes without, and nothing is taken away."""
    first, second, third = (Served(turned, tmp_path) for _ in range(3))
    first.port.start()
    second.port.start()
    with pytest.raises(ControlUnavailable, match="belongs to another run"):
        third.port.start()
    third.port.stop()
    assert first.client().send(b'{"command": "halt"}\n').reply()["ok"]
    assert Client(turned, tmp_path / NAMES[1]).send(b'{"command": "resume"}\n').reply()["ok"]
    assert (first.requests, second.requests) == ([{"command": "halt"}], [{"command": "resume"}])
    first.port.stop()
    second.port.stop()


def test_a_socket_of_a_program_without_our_lock_is_not_replaced_either(turned: HandTurned, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / NAMES[0]))
        other.listen()
        one = Served(turned, tmp_path)
        one.port.start()
        assert (tmp_path / NAMES[1]).is_socket()
        one.port.stop()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / NAMES[0]))  # still theirs


def test_a_socket_whose_server_is_too_busy_to_answer_is_not_replaced(
    turned: HandTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_place, "_PROBE_S", 0.01)
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / NAMES[0]))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect(str(tmp_path / NAMES[0]))
        one = Served(turned, tmp_path)
        one.port.start()
        assert (tmp_path / NAMES[0]).exists() and (tmp_path / NAMES[1]).is_socket()
        one.port.stop()
        for each in waiting:
            each.close()


def test_what_is_no_socket_is_left_alone(turned: HandTurned, tmp_path: Path) -> None:
    (tmp_path / NAMES[0]).write_text("mine")
    with pytest.raises(ControlUnavailable, match="is no socket"):
        Served(turned, tmp_path).port.start()
    assert (tmp_path / NAMES[0]).read_text() == "mine"


def test_a_folder_that_others_can_write_to_gets_no_socket(turned: HandTurned, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(ControlUnavailable, match="can be written by others; `chmod 700"):
        Served(turned, folder).port.start()
    assert list(folder.iterdir()) == []


def test_a_path_too_long_for_a_socket_has_it_elsewhere(
    turned: HandTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / ("deep" * 30)
    one = Served(turned, folder)
    one.port.start()
    path = control_place.find_socket(folder, NAMES[0])
    assert path is not None and path.parent == tmp_path / "microlev"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Client(turned, path).send(b'{"command": "status"}\n').reply()["ok"]
    one.port.stop()
    turned.until(lambda: one.port._place._lock is None)
    assert control_place.find_socket(folder, NAMES[0]) is None
    assert not path.exists() and not (folder / f"{NAMES[0]}.path").exists()


def test_a_place_elsewhere_that_others_can_enter_is_refused(
    turned: HandTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "microlev").mkdir(mode=0o755)
    (tmp_path / "microlev").chmod(0o755)
    with pytest.raises(ControlUnavailable, match="can be entered by others"):
        Served(turned, tmp_path / ("deep" * 30)).port.start()


def test_a_folder_that_cannot_be_made_is_one_line(turned: HandTurned, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ControlUnavailable) as raised:
        Served(turned, tmp_path / "file" / "state").port.start()
    assert "\n" not in str(raised.value)


def test_without_unix_sockets_there_is_one_line(
    turned: HandTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "has_unix_sockets", lambda: False)
    with pytest.raises(ControlUnavailable, match="no Unix sockets"):
        Served(turned, tmp_path).port.start()
