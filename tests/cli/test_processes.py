"""The command as a process: signals, a reader that goes away, a venue that freezes, and the recordings in the demo."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from recordings import BOOK, QUOTES, recording

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MICROLEV = [sys.executable, "-m", "bot"]
LIMIT_S = 60


def start(*arguments: object, folder: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MICROLEV, *(str(a) for a in arguments)],
        cwd=ROOT,
        env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def end(process: subprocess.Popen[str], limit_s: float = LIMIT_S) -> tuple[str, str]:
    try:
        return process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"{process.args} was still there after {limit_s} s")


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = start("sim", folder=tmp_path)
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    end(process, 10)
    assert process.returncode == 0


def config(ready: dict[str, Any], folder: Path, **changes: Any) -> Path:
    content = {
        "venue": {key: ready[key] for key in ("host", "port", "ca_file")} | {"environment": "simulator"},
        "account": {"id": ready["accounts"][0]["id"]},
        "credentials": {key: ready[key] for key in ("client_id", "client_secret", "access_token")},
        "symbols": {"EURUSD": {}},
        "strategy": {"name": "constant", "base_leverage": 2},
        "state": {"directory": str(folder / "bot")},
        "mode": "trade",
    }
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return path


def until(process: subprocess.Popen[str], **wanted: Any) -> dict[str, Any]:
    """Read JSON lines until one holds all that is wanted."""
    assert process.stdout is not None
    for text in process.stdout:
        line: dict[str, Any] = json.loads(text)
        if wanted.items() <= line.items():
            return line
    pytest.fail(f"the output ended before {wanted}: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_with_130_and_its_summary(number: signal.Signals, tmp_path: Path) -> None:
    process = start("demo", "--json", "--record", tmp_path, folder=tmp_path)
    until(process, type="state", ready=True)
    process.send_signal(number)
    out, err = end(process, 15)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["type"] == "summary"
    assert err.strip() == "interrupted"


@pytest.mark.parametrize("flags", [["--json"], []])
def test_an_output_that_is_closed_ends_the_bot_quietly_and_cleanly(
    flags: list[str], sim: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    path = config(sim[1], tmp_path, recording={"directory": str(tmp_path / "journals")})
    process = start("run", path, *flags, folder=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(LIMIT_S) == 0
    assert [line for line in process.stderr.read().splitlines() if not line.startswith("warning: ")] == []
    process.stderr.close()
    (journal,) = (tmp_path / "journals").glob("*.journal.zst")
    verify = start("replay", journal, "--verify", folder=tmp_path)
    assert end(verify)[0].startswith("equal: ") and verify.returncode == 0


def test_a_venue_that_freezes_does_not_keep_the_bot_from_stopping(
    sim: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    process = start("run", config(sim[1], tmp_path), "--json", folder=tmp_path)
    until(process, type="order", state="filled")
    sim[0].send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    end(process, 20)
    assert process.returncode == 130


def test_the_bot_comes_back_to_a_venue_after_the_link_was_cut(
    sim: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    """A proxy between the two is cut while they talk; what is held is found again, and nothing is bought twice."""
    import socket
    import threading

    ready = sim[1]
    listener = socket.create_server(("127.0.0.1", 0))
    pairs: list[socket.socket] = []

    def carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", ready["port"]))
            pairs.extend((near, far))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    path = config(ready | {"port": listener.getsockname()[1]}, tmp_path)
    process = start("run", path, "--json", folder=tmp_path)
    until(process, type="order", state="filled")
    for end_of_it in pairs:
        end_of_it.shutdown(socket.SHUT_RDWR)
        end_of_it.close()
    pairs.clear()
    until(process, type="state", ready=False)
    until(process, type="state", ready=True)
    process.send_signal(signal.SIGINT)
    out, _ = end(process, 20)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for end_of_it in pairs:
        end_of_it.close()
    summary = json.loads(out.splitlines()[-1])
    assert (process.returncode, summary["connections"]) == (130, 2)
    assert summary["leverage"]["EURUSD"] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("name", "symbol"), [(BOOK, "BTCUSD"), (QUOTES, "EURUSD")])
def test_the_demo_runs_on_a_recording_and_replays_without_a_difference(name: str, symbol: str, tmp_path: Path) -> None:
    path = recording(name)
    demo = start("demo", "--market", path, "--seconds", "6", "--json", "--record", tmp_path, folder=tmp_path)
    out, err = end(demo)
    assert (demo.returncode, err) == (0, "")
    lines = [json.loads(text) for text in out.splitlines()]
    decisions = [line for line in lines if line["type"] == "decision"]
    assert {line["symbol"] for line in decisions} == {symbol}
    quotes = _recorded_quotes(path)
    for line in decisions:
        if line["mid"] is not None:
            assert (round(line["mid"], 6), round(line["spread_bps"], 6)) in quotes
    (journal,) = tmp_path.glob("*.journal.zst")
    verify = start("replay", journal, "--verify", "--json", folder=tmp_path)
    result = json.loads(end(verify)[0])
    assert (result["equal"], result["clean_stop"], verify.returncode) == (True, True, 0)
    assert result["decisions"] == lines[-1]["decisions"]


def _recorded_quotes(path: Path) -> set[tuple[float, float]]:
    """Return every (mid, spread in bps) at the beginning of a recording."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path).slice(0, 60_000).to_pylist()
    found, best = set(), [0.0, 0.0]
    for row in rows:
        if "kind" not in row:
            best = [row["bid"], row["ask"]]
        elif row["kind"] == 2:
            best[row["side"]] = row["price"]
        if all(best):
            middle = sum(best) / 2
            found.add((round(middle, 6), round((best[1] - best[0]) / middle * 1e4, 6)))
    return found
