"""The bot of the telemetry bench: the real driver in a real reactor, fed over a socket, looked at or not.

How it works: the embedded venue and a bot without a socket talk first, on a clock moved by hand, until enough market
data has been sent; that is kept. A driver in a dry run then gets the login's bytes at the times they had, becomes
READY, and takes the rest from a socket, in a reactor, on the machine's clock, from a process of its own. What is told:
how long decisions took as the driver itself counts, and how long it was from the byte that left the market until the
driver had done everything about it, the reactor's other work included.
"""

import argparse
import gc
import json
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol

from bench_peers.ready_bot import START_NS, ReadyBot, ready_bot, trading_config
from bench_peers.timing import pin_to_one_core
from bot.app import warm_up
from bot.assembly import assemble, engine_settings
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.engine.paper_fills import paper_venue
from bot.net.companion import Companions
from bot.net.driver import Driver
from bot.net.outcome import DriverSettings, Outcome
from bot.net.telemetry import opened

_STEP_NS = 5_000_000
_HEARTBEAT_NS = 20_000_000_000
_WARM_S = 4.0  # what is sent before that is not measured: warm-up of the strategy, caches, the first look
_SECTIONS: dict[str, Any] = {
    "mode": "dry-run",
    "strategy": {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
    "sizing": {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05, "time_of_day": False},
}


def recorded(config: Config, wanted: int) -> tuple[list[tuple[int, bytes | None]], list[bytes]]:
    """Return what reaches a bot until it is READY, with its times (None for a timer), and so many deliveries after."""
    bot = ready_bot(config)
    login, deliveries = list(bot.inputs), list[bytes]()
    heard_ns = bot.now_ns
    while len(deliveries) < wanted:
        for data in bot.step(_STEP_NS):
            bot.deliver(data)
            deliveries.append(data)
        if bot.now_ns - heard_ns > _HEARTBEAT_NS:
            heard_ns = _kept_alive(bot)
    return login, deliveries[:wanted]


def _kept_alive(bot: ReadyBot) -> int:
    bot.hear(bot.time_out())
    return bot.now_ns


class _NoClient:
    """In place of a venue's client: the link comes up, and what is written goes nowhere."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def start(self) -> None:
        self._driver.link_up(lambda data: None)

    def stop(self) -> "Deferred[None]":
        return succeed(None)

    def drop(self, reason: str, _retry_in_s: float = 0.0) -> None:
        if reason != "stopped":
            raise RuntimeError(f"the bench's link was given up: {reason}")

    def held(self, held: object) -> None: ...


class _Market(Protocol):
    """The market's link: every delivery to the driver, and when it had done with how many bytes."""

    transport: Any

    def __init__(self, driver: Driver, warm_bytes: int, done: Callable[[], None]) -> None:
        self._driver, self._done = driver, done
        self._warm_bytes = warm_bytes
        self.taken: list[tuple[int, int]] = []
        self.decided = 0
        self._bytes = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._driver.link_data(data)
        self._bytes += len(data)
        if self._bytes <= self._warm_bytes:
            self.decided = len(self._driver.figures.decision_ns)
        self.taken.append((self._bytes, time.monotonic_ns()))

    def connectionLost(self, _reason: object = None) -> None:  # noqa: N802
        self._done()


def run(arm: str, wanted: int, per_s: float, folder: Path, core: int) -> dict[str, Any]:
    """Measure one arm: `off`, `page` or `stuck`."""
    from twisted.internet import reactor

    runtime: Any = reactor
    state = {"directory": str(folder / "state")}
    config = trading_config(**_SECTIONS, state=state, telemetry={"enabled": arm != "off"})
    warm_up(engine_settings(config, "rehearsal"))
    login, deliveries = recorded(config, wanted)
    path = folder / "deliveries.bin"
    path.write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in deliveries))

    clock = {"now_ns": START_NS, "since_ns": 0}

    def now_ns() -> int:
        return clock["now_ns"] + (time.monotonic_ns() - clock["since_ns"] if clock["since_ns"] else 0)

    made = assemble(config, ClientSecrets("the-client-id", "the-client-secret"), Token("t", "r"), "bench")
    made.paper = paper_venue(made.engine)
    telemetry = opened(runtime, config, made.session, made.engine)
    driver = Driver(
        runtime,
        DriverSettings(60.0, None, False),
        made.session,
        made.engine,
        made.pipeline,
        lambda driver: _NoClient(driver),  # type: ignore[arg-type,return-value]
        now_ns,
        paper=made.paper,
        watchers=[telemetry.watch] if telemetry is not None else [],
        beside=lambda driver: Companions([telemetry.beside(driver, None)] if telemetry is not None else []),
    )
    driver.start()
    for at_ns, data in login:
        clock["now_ns"] = at_ns
        if data is None:
            driver._tick()
        else:
            driver.link_data(data)
    if not made.session.ready:
        raise RuntimeError("the driver is not READY after the login it was given")
    warm = round(_WARM_S * per_s)
    clock["since_ns"] = time.monotonic_ns()

    market: list[_Market] = []
    factory = Factory()
    factory.noisy = False

    def build(_: object) -> _Market:
        market.append(_Market(driver, sum(map(len, deliveries[:warm])), finish))
        return market[0]

    def finish() -> None:
        figures.update(
            made=telemetry._feed.made if telemetry is not None else 0,
            dropped=telemetry._readers.dropped if telemetry is not None else 0,
        )
        driver.stop(Outcome(0))
        runtime.callLater(0.2, runtime.stop)

    figures: dict[str, Any] = {}
    factory.buildProtocol = build  # type: ignore[method-assign,assignment]
    port = runtime.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    outside = [sys.executable, "-m", "bench_peers.telemetry_outside"]
    place = (folder / "state" / "telemetry.json").read_text(encoding="utf-8") if telemetry is not None else ""
    sent = folder / "sent.bin"
    looker = subprocess.Popen([*outside, arm, "--core", str(core)], stdin=-1, text=True) if arm != "off" else None
    if looker is not None:
        assert looker.stdin is not None
        looker.stdin.write(place)
        looker.stdin.flush()
    options = ["--port", port, "--deliveries", path, "--per-s", per_s, "--sent", sent, "--core", core]
    feeder = subprocess.Popen([*outside, "market", *map(str, options)])
    gc.collect()
    gc.freeze()
    try:
        runtime.run(installSignalHandlers=False)
    finally:
        feeder.wait(60)
        if looker is not None:
            looker.kill()
            looker.wait(60)
    decisions = [ns / 1000 for ns in driver.figures.decision_ns[market[0].decided :]]
    whole = _whole_us(deliveries, array("q", sent.read_bytes()), market[0].taken)
    rows = {"decision": _percentiles(decisions), "whole": _percentiles(whole[warm:])}
    orders = sum(driver.figures.order_states.values())
    return rows | figures | {"deliveries": len(deliveries), "decisions": len(decisions), "order_changes": orders}


def _whole_us(deliveries: list[bytes], sent_ns: "array[int]", taken: list[tuple[int, int]]) -> list[float]:
    """Return microseconds from the leaving of each delivery until the driver had done with its last byte."""
    took, end, at = [], 0, 0
    for data, left_ns in zip(deliveries, sent_ns, strict=True):
        end += len(data)
        while taken[at][0] < end:
            at += 1
        took.append((taken[at][1] - left_ns) / 1000)
    return took


def _percentiles(times_us: list[float]) -> list[float]:
    ordered = sorted(times_us)
    return [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arm", choices=["off", "page", "stuck"], required=True)
    parser.add_argument("--deliveries", type=int, required=True)
    parser.add_argument("--per-s", type=float, required=True)
    wanted = parser.parse_args()
    core = pin_to_one_core()
    with tempfile.TemporaryDirectory(prefix="microlev-bench-") as folder:
        result = run(wanted.arm, wanted.deliveries, wanted.per_s, Path(folder), -1 if core is None else core)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
