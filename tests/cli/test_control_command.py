"""`status`, `halt`, `resume` and `flatten` from the command line, at a bot that answers over a real Unix socket."""

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from unix_client import HandTurned, turned

from bot.cli.main import main
from bot.net import control_client, control_place
from bot.net.control import ControlPort
from bot.net.control_place import ControlPlace

__all__ = ["turned"]
ACCOUNT = 7
POSITION = {
    "position_id": 300001, "symbol": "EURUSD", "side": "buy", "volume_cents": 2_000_000, "lots": 0.2, "price": 1.1,
    "ours": True, "label": "microlev", "used_margin": 4.4,
}  # fmt: skip
ORDER = {
    "client_order_id": "run1-3", "order_id": None, "position_id": None, "symbol": "EURUSD", "action": "close",
    "side": None, "order_type": "market", "volume_cents": 2_000_000, "executed_cents": 0, "limit_price": None,
    "state": "unknown", "resting": False, "age_s": 12.0,
}  # fmt: skip
CAUSE = {
    "code": "by_hand", "level": "halted", "text": "halted by hand", "since": "2026-11-27T05:34:28.799Z", "until": None,
    "flattens": False, "by_limit": False,
}  # fmt: skip


def state(**changes: Any) -> dict[str, Any]:
    """Return a status with nothing known but what is given."""
    return {
        "type": "status", "time": "2026-11-27T05:34:28.799Z", "account_id": ACCOUNT, "account_type": None,
        "deposit_currency": None, "environment": "simulator", "mode": "trade", "strategy": "constant", "run_id": "run1",
        "process_id": 1, "equity": None, "balance": None, "used_margin": None, "margin_level": None,
        "trading": "active", "stopping": False, "causes": [], "ready": True, "reasons": [], "texts": [],
        "hands_off": [], "positions": [],
        "orders": [], "leverage": [], "connected": True, "connected_s": 7.1, "connections": 1, "last_error": None,
        "orders_last_minute": 0, "max_orders_per_minute": 30, "stop_file": None,
    } | changes  # fmt: skip


class FakeBot:
    """Answers each request with the next of its replies, the last one for ever."""

    def __init__(self, turned: HandTurned, folder: Path, mode: str = "trade", account_id: int = ACCOUNT) -> None:
        self.replies: list[dict[str, Any]] = [{"ok": True, "status": state()}]
        self.requests: list[dict[str, Any]] = []
        names = control_place.names_to_serve(account_id, mode)
        self.port = ControlPort(turned.reactor, ControlPlace(folder / "state", names), self._answer)
        self.port.start()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Terminal:
    """Another terminal: runs a command while the bot's reactor is turned."""

    def __init__(self, turned: HandTurned, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._turned, self._folder, self._capsys = turned, folder, capsys
        self.out = self.err = ""

    def config(self, **changes: Any) -> Path:
        content = {
            "venue": {"environment": "simulator"},
            "account": {"id": ACCOUNT},
            "state": {"directory": str(self._folder / "state")},
            "symbols": {"EURUSD": {}},
        }
        path = self._folder / "bot.yaml"
        path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
        return path

    def microlev(self, *arguments: object) -> int:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(main([str(a) for a in arguments])))
        thread.start()
        self._turned.until(lambda: not thread.is_alive())
        self.out, self.err = self._capsys.readouterr()
        return codes[0]


@pytest.fixture
def terminal(turned: HandTurned, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(turned, tmp_path, capsys)


@pytest.fixture
def bot(turned: HandTurned, tmp_path: Path) -> Any:
    fake = FakeBot(turned, tmp_path)
    yield fake
    fake.port.stop()
    turned.until(lambda: not fake.port._factory.clients)  # a connection is closed in a turn of its own


def test_status_is_one_json_object_as_the_bot_gave_it(bot: FakeBot, terminal: Terminal) -> None:
    assert terminal.microlev("status", terminal.config(), "--json") == 0
    assert json.loads(terminal.out) == state() and terminal.out.count("\n") == 1
    assert bot.requests == [{"command": "status", "account_id": ACCOUNT, "reason": ""}]


def test_status_in_words_says_unknown_where_nothing_is_known(bot: FakeBot, terminal: Terminal) -> None:
    leverage = {"symbol": "EURUSD", "leverage_now": None, "leverage_goal": None, "leverage_target": None}
    known = {
        "positions": [POSITION, POSITION | {"symbol": None, "lots": None, "ours": False}],
        "orders": [ORDER, ORDER | {"resting": True, "limit_price": 1.0999, "side": "buy", "state": "accepted"}],
        "causes": [CAUSE, CAUSE | {"code": "daily_loss", "until": "2026-11-27T22:00:00.000Z", "flattens": True}],
        "leverage": [leverage | {"bound": None, "text": None}],
        "last_error": {"time": "2026-11-27T05:00:00.000Z", "text": "connection lost: cut"},
        "stop_file": "/x/stop",
        "hands_off": ["USDJPY"],
        "trading": "halted",
    }
    bot.replies = [{"ok": True, "status": state(**known)}]
    assert terminal.microlev("status", terminal.config()) == 0
    for words in (
        "equity     unknown", "margin level unknown",
        "trading    halted", "by_hand: halted by hand (halted since 2026-11-27 05:34:28.799 UTC)",
        "until 2026-11-27 22:00:00.000 UTC, closes what is ours", "300001 EURUSD buy 0.2 lots at 1.1, ours",
        "unlisted symbol buy 20000 units at 1.1, not ours", "run1-3 EURUSD close 20000 units, on its way, unknown",
        "at 1.0999, resting, accepted", "connection lost: cut", "/x/stop is there", "hands off  USDJPY",
    ):  # fmt: skip
        assert words in terminal.out, (words, terminal.out)
    assert "None" not in terminal.out and terminal.err == ""
    bot.replies = [{"ok": True, "status": state(used_margin=3000.0, margin_level=3.2)}]
    assert terminal.microlev("status", terminal.config()) == 0
    assert "margin level 320%" in terminal.out


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ({}, 0, "ready, trading active\n"),
        ({"trading": "halted", "causes": [CAUSE]}, 0, "ready, trading halted\n"),
        ({"ready": False, "texts": ["the connection is lost; reconnecting"]}, 1,
         "not ready: the connection is lost; reconnecting\n"),
        ({"ready": False}, 1, "not ready: starting\n"),
    ],
)  # fmt: skip
def test_ready_is_a_line_and_an_exit_code_for_health_checks(
    changes: dict[str, Any], code: int, line: str, bot: FakeBot, terminal: Terminal
) -> None:
    bot.replies = [{"ok": True, "status": state(**changes)}]
    assert terminal.microlev("status", terminal.config(), "--ready") == code
    assert (terminal.out, terminal.err) == (line, "")


def test_a_bot_that_does_not_run_or_does_not_answer_is_not_ready(
    bot: FakeBot, terminal: Terminal, tmp_path: Path
) -> None:
    bot.replies = [{"ok": False, "error": "another account"}]
    assert terminal.microlev("status", terminal.config(), "--ready") == 1
    assert terminal.out == "not ready: no answer from a running bot: another account\n"
    nowhere = terminal.config(state={"directory": str(tmp_path / "nowhere")})
    assert terminal.microlev("status", nowhere, "--ready") == 1
    assert terminal.out.startswith("not ready: no answer from a running bot: ") and terminal.out.count("\n") == 1
    assert terminal.microlev("status", terminal.config(), "--ready", "--json") == 2


def test_halt_carries_its_reason_and_says_what_stands(bot: FakeBot, terminal: Terminal) -> None:
    bot.replies = [{"ok": True, "status": state(trading="halted", causes=[CAUSE])}]
    assert terminal.microlev("halt", terminal.config(), "--reason", "lunch") == 0
    assert bot.requests == [{"command": "halt", "account_id": ACCOUNT, "reason": "lunch"}]
    assert "halted" in terminal.out and "by_hand" in terminal.out


def test_a_halt_that_does_not_halt_is_not_done(bot: FakeBot, terminal: Terminal) -> None:
    assert terminal.microlev("halt", terminal.config()) == 1
    assert terminal.err.startswith("not done: ")


def test_a_refusal_of_the_bot_is_one_line_and_1(bot: FakeBot, terminal: Terminal) -> None:
    bot.replies = [{"ok": False, "error": "the stop file /x/stop is in the way"}]
    assert terminal.microlev("resume", terminal.config()) == 1
    assert terminal.err == "not done: the stop file /x/stop is in the way\n"


def test_flatten_waits_until_nothing_is_left(bot: FakeBot, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.control._POLL_S", 0.01)
    held = state(trading="halted", positions=[POSITION])
    busy, flat = (
        state(trading="halted", orders=[ORDER]),
        state(trading="halted", positions=[POSITION | {"ours": False}]),
    )
    bot.replies = [{"ok": True, "status": each} for each in (held, held, busy, state(ready=False), flat)]
    assert terminal.microlev("flatten", terminal.config()) == 0
    assert [r["command"] for r in bot.requests] == ["flatten"] + ["status"] * 4
    assert "nothing of ours is left" in terminal.out


def test_flatten_that_runs_out_of_time_is_1_with_what_is_left(bot: FakeBot, terminal: Terminal) -> None:
    left = state(trading="halted", positions=[POSITION, POSITION | {"ours": False, "position_id": 9}], orders=[ORDER])
    bot.replies = [{"ok": True, "status": left | {"texts": ["EURUSD is closed until Sunday"]}}]
    assert terminal.microlev("flatten", terminal.config(), "--wait", "0.05") == 1
    assert "left after 0.05 s: 1 position(s), 1 order(s)" in terminal.err
    for words in ("300001 EURUSD buy", "run1-3", "closed until Sunday"):
        assert words in terminal.err
    assert "not ours" not in terminal.err


def test_a_bot_that_is_not_ready_is_not_known_to_be_flat(bot: FakeBot, terminal: Terminal) -> None:
    bot.replies = [{"ok": True, "status": state(trading="halted", ready=False, texts=["the connection is lost"])}]
    assert terminal.microlev("flatten", terminal.config(), "--wait", "0") == 1
    assert "not known to be flat" in terminal.err and "the connection is lost" in terminal.err


# -- nobody there ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "names_file"), [("status", False), ("halt", True), ("flatten", True)])
def test_no_running_bot_is_4_in_one_line_that_names_the_folder(
    command: str, names_file: bool, terminal: Terminal, tmp_path: Path
) -> None:
    assert terminal.microlev(command, terminal.config()) == 4
    assert terminal.out == "" and terminal.err.count("\n") == 1
    assert str(tmp_path / "state") in terminal.err
    assert (str(tmp_path / "state" / "stop") in terminal.err) == names_file
    assert ("flatten in it" in terminal.err) == (command == "flatten")
    assert not (tmp_path / "state").exists(), "looking makes nothing"


def test_a_socket_that_a_killed_bot_left_is_4(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "state" / "control.sock"))
    assert terminal.microlev("halt", terminal.config()) == 4
    assert "nobody serves" in terminal.err


def test_a_bot_that_does_not_answer_is_4_and_not_waited_for(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(control_client.ask, "__kwdefaults__", {"reason": "", "within_s": 0.05})
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "state" / "control.sock"))
        frozen.listen()
        begun_s = time.monotonic()
        assert terminal.microlev("halt", terminal.config()) == 4
    assert time.monotonic() - begun_s < 3
    assert "did not answer within" in terminal.err and "stop" in terminal.err


def test_a_server_of_another_user_is_told_nothing(
    bot: FakeBot, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_client, "is_same_user", lambda connection: False)
    assert terminal.microlev("halt", terminal.config()) == 4
    assert "another user" in terminal.err and bot.requests == []


def test_an_answer_that_cannot_be_read_is_4(bot: FakeBot, terminal: Terminal) -> None:
    bot.replies = [{"surprise": 1}]
    assert terminal.microlev("status", terminal.config()) == 4
    assert "no answer that can be read" in terminal.err


def test_the_bot_that_trades_is_asked_before_a_dry_run(turned: HandTurned, terminal: Terminal, tmp_path: Path) -> None:
    """Whichever was started first has `control.sock`."""
    for first, second in (("dry-run", "trade"), ("trade", "dry-run")):
        bots = {mode: FakeBot(turned, tmp_path, mode) for mode in (first, second)}
        assert terminal.microlev("status", terminal.config()) == 0
        assert (len(bots["trade"].requests), len(bots["dry-run"].requests)) == (1, 0)
        for each in bots.values():
            each.port.stop()
        turned.until(lambda: not list((tmp_path / "state").glob("*.sock")))


def test_accounts_that_share_a_folder_are_told_apart(turned: HandTurned, terminal: Terminal, tmp_path: Path) -> None:
    other, own = FakeBot(turned, tmp_path, account_id=42), FakeBot(turned, tmp_path)
    other.replies = [{"ok": False, "error": "the bot that runs there is that of account 42", "other_account": True}]
    assert terminal.microlev("status", terminal.config()) == 0
    assert len(own.requests) == 1
    own.port.stop()
    turned.until(lambda: own.port._place._lock is None)
    assert terminal.microlev("halt", terminal.config()) == 4
    assert "account 42" in terminal.err
    other.port.stop()


# -- the config --------------------------------------------------------------------------------------------------------


def test_neither_missing_secrets_nor_a_mistake_in_trading_keep_anybody_from_halting(
    bot: FakeBot, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    bot.replies = [{"ok": True, "status": state(trading="halted", causes=[CAUSE])}]
    broken = {"credentials": {"client_id": "${NOT_SET_HERE}"}, "risk": {"max_leverage": "a lot"}, "mode": "trade"}
    assert terminal.microlev("halt", terminal.config(**broken)) == 0


def test_another_terminal_without_the_variables_of_the_venue_can_halt(
    bot: FakeBot, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    bot.replies = [{"ok": True, "status": state(trading="halted", causes=[CAUSE])}]
    venue = {
        "environment": "simulator",
        "port": "${NOT_SET_HERE}",
        "ca_file": "${NOT_SET_HERE}",
        "connect_timeout_s": "x",
    }
    assert terminal.microlev("halt", terminal.config(venue=venue)) == 0, terminal.err


@pytest.mark.parametrize(
    "changes", [{"acount": {"id": 7}}, {"account": {"id": "x"}}, {"state": {"directory": "${NOT_SET_HERE}"}}]
)
def test_a_config_that_does_not_say_where_is_2_in_one_line(
    changes: dict[str, Any], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    assert terminal.microlev("halt", terminal.config(**changes)) == 2
    assert terminal.err.count("\n") == 1 and "bot.yaml:" in terminal.err


def test_a_config_that_is_not_there_is_2(terminal: Terminal, tmp_path: Path) -> None:
    for command in ("status", "halt", "resume", "flatten"):
        assert terminal.microlev(command, tmp_path / "none.yaml") == 2
        assert terminal.err.count("\n") == 1


def test_the_default_folder_is_one_per_account(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert terminal.microlev("status", terminal.config(state={})) == 4
    assert os.path.join(str(tmp_path), "xdg", "microlev", f"simulator-{ACCOUNT}") in terminal.err
