"""The command line inside the test's process: a reactor for one run, and the embedded venue on it, over real TLS."""

import json
import signal
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import twisted.internet
import yaml
from reactor_end import close_reactor
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

import bot.cli.screen
from bot.cli.main import main
from bot.net.clock import run_clock
from bot.net.simulator import Simulator, start_simulator
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

SECRETS = {
    "client_id": "id-6f1d2c3b4a59",
    "client_secret": "secret-9b8a7c6d5e4f",
    "access_token": "access-1a2b3c4d5e6f",
    "refresh_token": "refresh-0f9e8d7c6b5a",
}
VIEW_TOKEN = "view-77c1d2e3f4a5"
ACCOUNT = 1_000_001


class Bench:
    """One run of a command against one venue."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.reactor = SelectReactor()
        self.server: Simulator | None = None
        self._capsys = capsys
        self.out = self.err = ""

    def serve(self, options: dict[str, Any] | None = None, **account: Any) -> Simulator:
        """Start the venue on this run's reactor; `options` go to the venue."""
        now_ns = run_clock()
        start_ns = now_ns()
        settings = {"account_type": "hedged", "deposit_currency": "USD", "balance": Decimal(10_000)} | account
        venue = Venue(
            open_market("synthetic:calm", seed=1, start_ns=start_ns, speed=1.0),
            accounts=[AccountSettings(ACCOUNT, **settings)],
            start_ns=start_ns,
            view_token=VIEW_TOKEN,
            **SECRETS,
            **(options or {}),
        )
        self.server = start_simulator(self.reactor, venue, 0, now_ns=now_ns)
        self.reactor.addSystemEventTrigger("before", "shutdown", self.server.stop)
        return self.server

    def config(self, **changes: Any) -> Path:
        """Write a config for the venue that is served; `changes` replace or extend sections."""
        content: dict[str, Any] = {
            "venue": {"environment": "simulator", "host": "localhost", "connect_timeout_s": 5},
            "account": {"id": ACCOUNT},
            "credentials": {k: SECRETS[k] for k in ("client_id", "client_secret", "access_token")},
            "symbols": {"EURUSD": {}},
            "strategy": {"name": "constant", "base_leverage": 2},
            "state": {"directory": str(self.folder / "state")},
        }
        if self.server is not None:
            content["venue"] |= {"port": self.server.port, "ca_file": self.server.ca_file}
        for key, change in changes.items():
            content[key] = content.get(key, {}) | change if isinstance(change, dict) and key != "symbols" else change
        path = self.folder / "bot.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def microlev(self, *arguments: object, limit_s: float = 20.0) -> int:
        """Run a command on this reactor; `out` and `err` then hold what it wrote."""
        alarm = self.reactor.callLater(limit_s, self.reactor.stop)
        try:
            return main([str(a) for a in arguments])
        finally:
            if alarm.active():
                alarm.cancel()
            self.out, self.err = self._capsys.readouterr()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench whose reactor is the process's own for the time of the test."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for name in ("CTRADER_CLIENT_ID", "CTRADER_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    # Twisted lets a process begin to log only once; this does what the command does, and can be undone.
    monkeypatch.setattr(bot.cli.screen, "log_to_stderr", lambda: None)

    def observe(event: Any) -> None:
        if str(event.get("log_namespace", "")).startswith("bot.") or event["log_level"] >= LogLevel.warn:
            print(formatEvent(event), file=sys.stderr)

    bench = Bench(tmp_path, capsys)
    monkeypatch.setattr(twisted.internet, "reactor", bench.reactor, raising=False)
    globalLogPublisher.addObserver(observe)
    yield bench
    globalLogPublisher.removeObserver(observe)
    close_reactor(bench.reactor)  # and the port, when a bad config ended the command before the reactor ran
    if bench.server is not None:
        bench.server.stop()  # and its folder
    for number, handler in handlers.items():
        signal.signal(number, handler)
