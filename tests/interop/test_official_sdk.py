"""The official SDK's own client, with its own pinned dependencies, can use the embedded venue."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = "import typer; from bot.cli.sim import sim; typer.run(sim)"


@pytest.mark.slow
def test_the_official_sdk_logs_in_trades_and_reconciles(tmp_path: Path) -> None:
    # The SDK pins releases that clash with ours, so it gets an environment of its own.
    venv.create(tmp_path / "sdk", with_pip=True)
    scripts = tmp_path / "sdk" / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(scripts / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "ctrader-open-api==0.9.2"], check=True, timeout=300)
    with subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()
            session = subprocess.run(
                [python, str(Path(__file__).with_name("sdk_session.py"))],
                input=ready,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            server.terminate()
    assert server.returncode == 0
    assert session.returncode == 0, session.stderr
    seen = json.loads(session.stdout.splitlines()[-1])
    assert "error" not in seen, seen
    assert seen["accounts"] == [json.loads(ready)["accounts"][0]["id"]]
    assert seen["symbols"] == ["EURUSD", "USDJPY", "EURJPY", "GBPUSD", "XAUUSD", "BTCUSD"]
    assert seen["digits"] == 5
    assert seen["spots"] > 0
    assert seen["depth"] >= 20
    assert seen["first_answer"] == "ProtoOAExecutionEvent"
    assert seen["executions"] == ["ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_ACCEPTED", "ORDER_FILLED"]
    assert seen["client_order_id"] == "sdk-1"
    assert seen["open_positions"] == [[True, 100_000]]
    assert seen["positions_left"] == 0
    assert seen["balance_after"] != seen["balance_before"]
