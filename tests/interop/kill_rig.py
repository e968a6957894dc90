"""A venue and a bot as processes, the bot to be killed by SIGKILL; and an observer who asks the venue what is true.

The bot trades all the time: a strategy of its user's changes what it wants every second or so, by the clock.
"""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MICROLEV = [sys.executable, "-m", "bot"]
READY_LIMIT_S = 90.0

RESTLESS = '''
"""Wants all of the base, and nothing for half a second in every two: what grows in steps is closed at once."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bot.sizing.strategy import Parametrised


@dataclass(frozen=True)
class Strategy(Parametrised):
    "What a test needs."
    name: ClassVar[str] = "restless"
    requires_caps: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ("share",)

    def factors(self, table, side):
        return np.full((1, len(table)), float(time.time() % 2.0 < 1.5))
'''


def environment(folder: Path) -> dict[str, str]:
    """Return what both processes run in."""
    return os.environ | {"XDG_STATE_HOME": str(folder / "xdg"), "PYTHONPATH": str(ROOT)}


def write_config(ready: dict[str, Any], folder: Path) -> Path:
    """Write the config of a bot that trades several times a second."""
    (folder / "restless.py").write_text(RESTLESS, encoding="utf-8")
    content = {
        "venue": {key: ready[key] for key in ("host", "port", "ca_file")} | {"environment": "simulator"},
        "account": {"id": ready["accounts"][0]["id"]},
        "credentials": {key: ready[key] for key in ("client_id", "client_secret", "access_token")},
        "mode": "trade",
        "symbols": {"EURUSD": {"direction": "long"}, "USDJPY": {"direction": "short"}},
        "strategy": {"name": str(folder / "restless.py"), "base_leverage": 6},
        "sizing": {
            "warm_up_s": 0,
            "persistence_s": 0,
            "max_increase_frac_per_min": 1,
            "band": 0.002,
            "calendar": False,
            "time_of_day": False,
        },
        "risk": {"max_orders_per_minute": 600, "max_daily_loss_frac": 0.9, "max_drawdown_frac": 0.9},
        "execution": {"min_interval_s": 0.05, "order_timeout_s": 3, "settle_s": 1},
        "on_stop": "cancel",
        "state": {"directory": str(folder / "state")},
    }
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class Process:
    """`microlev` started as a user starts it."""

    def __init__(self, arguments: list[str], out: Path, err: Path, folder: Path) -> None:
        with err.open("a") as errors:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@" > "$0"', str(out), *MICROLEV, *arguments],
                cwd=ROOT,
                env=environment(folder),
                stderr=errors,
            )
        self.pid = self._process.pid

    def wait(self) -> int:
        """Return its exit status, negative for a signal."""
        return self._process.wait(40)


class Nursery:
    """Starts processes that have everything loaded (see `bot_nursery.py`), one at a time. Use it in a `with` block."""

    def __init__(self, config: Path, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("bot_nursery.py")), str(config)],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._number()

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_failure: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def start(self, arguments: list[str], out: Path, err: Path, _folder: Path) -> "Nursery":
        """Start a process."""
        assert self._process.stdin is not None
        print(
            json.dumps({"arguments": arguments, "out": str(out), "err": str(err)}), file=self._process.stdin, flush=True
        )
        self.pid = self._number()
        return self

    def wait(self) -> int:
        """Return the exit status of the process started last, negative for a signal."""
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class Bot:
    """One life of `microlev run CONFIG --json`. `lines` holds what it has said so far.

    Args: `start` makes the process: `Process`, or a nursery's `start`.
    """

    def __init__(self, config: Path, folder: Path, start: Callable[[list[str], Path, Path, Path], Any]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._out, self._err = folder / "out", folder / "err"
        self._out.unlink(missing_ok=True)
        os.mkfifo(self._out)
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.process = start(["run", str(config), "--json"], self._out, self._err, folder)

    def _read(self) -> None:
        with self._out.open() as lines:
            for line in lines:
                self._said.put(line)
        self._said.put("")

    def until(self, limit_s: float = READY_LIMIT_S, **wanted: Any) -> dict[str, Any]:
        """Read lines until one holds all that is wanted. Raises: AssertionError when none comes."""
        end = time.monotonic() + limit_s
        while (left_s := end - time.monotonic()) > 0:
            try:
                text = self._said.get(timeout=left_s)
            except queue.Empty:
                break
            assert text, f"the bot ended: {self.process.wait()} {self._err.read_text()[-2_000:]}"
            self._keep(text)
            if self.lines and wanted.items() <= self.lines[-1].items():
                return self.lines[-1]
        raise AssertionError(f"no line {wanted} within {limit_s} s")

    def kill(self) -> None:
        """Kill it as a power cut would: no handler runs."""
        os.kill(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL
        self._rest()

    def stop(self) -> dict[str, Any]:
        """Stop it as a person does; return its summary."""
        os.kill(self.process.pid, signal.SIGINT)
        status = self.process.wait()
        self._rest()
        assert status == 130, f"{status} {self._err.read_text()[-2_000:]}"
        return self.lines[-1]

    def so_far(self) -> list[dict[str, Any]]:
        """Return what it has said, without waiting for more."""
        while not self._said.empty():
            self._keep(self._said.get())
        return self.lines

    def _rest(self) -> None:
        self._reader.join(20)
        while not self._said.empty():
            if text := self._said.get():
                self._keep(text)

    def _keep(self, text: str) -> None:
        if text.endswith("\n"):  # else it was cut off by a kill
            self.lines.append(json.loads(text))


@dataclass(frozen=True)
class Entry:
    """One intent of the ledger, as SQLite has it."""

    client_order_id: str
    run_id: str
    symbol_id: int
    action: str
    volume_cents: int
    position_id: int | None
    state: str
    created_ns: int


def ledger_entries(folder: Path) -> list[Entry]:
    """Return every intent in the ledger, oldest first, read by SQLite and nothing of ours."""
    (path,) = (folder / "state").glob("*.sqlite3")
    connection = sqlite3.connect(path)
    try:
        columns = "client_order_id, run_id, symbol_id, action, volume_cents, position_id, state, created_ns"
        rows = connection.execute(f"SELECT {columns} FROM intents ORDER BY created_ns, client_order_id").fetchall()
    finally:
        connection.close()
    return [Entry(*row) for row in rows]
