"""Steering a real process from other processes, and what signals do to it by `on_stop`."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from test_processes import MICROLEV, ROOT, config, end, sim, start, until

pytestmark = pytest.mark.slow

__all__ = ["sim"]
Sim = tuple[subprocess.Popen[str], dict[str, Any]]


def microlev(*arguments: object, folder: Path, code: int = 0) -> str:
    """Run a command to its end; return what it printed."""
    done = subprocess.run(
        [*MICROLEV, *(str(a) for a in arguments)],
        cwd=ROOT,
        env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def held(path: Path, folder: Path) -> list[dict[str, Any]]:
    positions: list[dict[str, Any]] = json.loads(microlev("status", path, "--json", folder=folder))["positions"]
    return positions


def test_a_trading_bot_is_halted_resumed_and_flattened_and_its_journal_replays(sim: Sim, tmp_path: Path) -> None:
    path = config(sim[1], tmp_path, recording={"directory": str(tmp_path / "journals")})
    process = start("run", path, "--json", folder=tmp_path)
    until(process, type="order", state="filled")
    assert len(held(path, tmp_path)) == 1
    assert microlev("status", path, "--ready", folder=tmp_path) == "ready, trading active\n"
    assert "lunch" in microlev("halt", path, "--reason", "lunch", folder=tmp_path)
    assert "lunch" in microlev("status", path, folder=tmp_path)
    assert "active" in microlev("resume", path, folder=tmp_path)
    assert "nothing of ours is left" in microlev("flatten", path, "--wait", "20", folder=tmp_path)
    assert held(path, tmp_path) == []
    microlev("resume", path, folder=tmp_path)
    until(process, type="order", state="filled", action="close")
    until(process, type="order", state="filled", action="open")
    (tmp_path / "bot" / "stop").touch()
    until(process, type="state", trading="halted")
    (tmp_path / "bot" / "stop").unlink()
    until(process, type="state", trading="active")
    process.send_signal(signal.SIGTERM)
    out, _ = end(process, 20)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["type"] == "summary"
    assert not (tmp_path / "bot" / "control.sock").exists()
    assert "stop" in microlev("halt", path, folder=tmp_path, code=4)
    microlev("status", path, "--ready", folder=tmp_path, code=1)
    (journal,) = (tmp_path / "journals").glob("*.journal.zst")
    assert microlev("replay", journal, "--verify", folder=tmp_path).startswith("equal: ")


def test_the_socket_of_a_killed_bot_is_replaced_and_that_of_a_living_one_is_not(sim: Sim, tmp_path: Path) -> None:
    path = config(sim[1], tmp_path, mode="dry-run")
    killed = start("run", path, "--json", folder=tmp_path)
    until(killed, type="state", ready=True)
    killed.kill()
    end(killed)
    assert (tmp_path / "bot" / "control.sock").is_socket()
    microlev("status", path, folder=tmp_path, code=4)
    first = start("run", path, "--json", folder=tmp_path)
    until(first, type="state", ready=True)
    second = start("run", path, "--json", folder=tmp_path)
    until(second, type="state", ready=True)
    state = json.loads(microlev("status", path, "--json", folder=tmp_path))
    assert state["process_id"] == first.pid
    for process in (first, second):
        process.send_signal(signal.SIGINT)
    for process in (first, second):
        end(process, 20)
        assert process.returncode == 130


def test_a_demo_is_steered_by_the_config_that_it_names(tmp_path: Path) -> None:
    process = start("demo", "--trade", "--seconds", "40", "--record", tmp_path, folder=tmp_path)
    assert process.stderr is not None and process.stdout is not None
    line = next(line for line in process.stderr if line.startswith("steer it by: "))
    path = Path(line.split()[-1])
    next(text for text in process.stdout if " ready, trading active" in text)
    assert "halted" in microlev("halt", path, folder=tmp_path)
    state = json.loads(microlev("status", path, "--json", folder=tmp_path))
    assert (state["trading"], state["mode"], state["environment"]) == ("halted", "trade", "simulator")
    process.send_signal(signal.SIGINT)
    end(process, 15)
    assert process.returncode == 130 and not path.exists()


@pytest.mark.parametrize(
    ("number", "on_stop", "positions"),
    [(signal.SIGINT, "flatten", 0), (signal.SIGTERM, "flatten", 0), (signal.SIGTERM, "cancel", 1)],
)
def test_a_signal_does_with_positions_what_on_stop_says(
    number: signal.Signals, on_stop: str, positions: int, sim: Sim, tmp_path: Path
) -> None:
    path = config(sim[1], tmp_path, on_stop=on_stop)
    process = start("run", path, "--json", folder=tmp_path)
    until(process, type="order", state="filled")
    process.send_signal(number)
    out, _ = end(process, 20)
    assert process.returncode == 130
    assert len(json.loads(out.splitlines()[-1])["positions"]) == positions


@pytest.mark.parametrize(("on_stop", "orders"), [("keep", True), ("cancel", False)])
def test_a_signal_does_with_resting_orders_what_on_stop_says(
    on_stop: str, orders: bool, sim: Sim, tmp_path: Path
) -> None:
    path = config(
        sim[1],
        tmp_path,
        on_stop=on_stop,
        symbols={"EURUSD": {"direction": "signal"}},
        strategy={"name": "market-making", "base_leverage": 2},
        sizing={"warm_up_s": 1, "time_of_day": False, "calendar": False},
    )
    process = start("run", path, "--json", folder=tmp_path)
    until(process, type="order", action="place", state="accepted")
    process.send_signal(signal.SIGINT)
    out, _ = end(process, 20)
    assert process.returncode == 130
    assert bool(json.loads(out.splitlines()[-1])["open_orders"]) == orders


def test_a_second_signal_ends_at_once_also_at_a_venue_that_is_frozen(sim: Sim, tmp_path: Path) -> None:
    path = config(sim[1], tmp_path, on_stop="flatten")
    process = start("run", path, "--json", folder=tmp_path)
    until(process, type="order", state="filled")
    sim[0].send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    until(process, type="order", action="close", state="sent")
    begun_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = end(process, 20)
    assert time.monotonic() - begun_s < 8, "the first one alone would wait for ten seconds"
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["open_orders"][0]["state"] == "sent"
    assert "has no final answer (sent)" in err
