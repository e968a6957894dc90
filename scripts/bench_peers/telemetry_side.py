"""The bot of the telemetry bench: the real driver in a real reactor, fed over a socket, looked at and not, in turn.

How it works: the embedded venue and a bot without a socket talk first, on a clock moved by hand, until enough market
data has been sent; that is kept. A driver in a dry run then gets the login's bytes at the times they had, becomes
READY, and takes the rest from a socket, in a reactor, on the machine's clock, from a process of its own. Every few
seconds another arm begins: watcher and readers come, or go. What a busy machine does meets all of them alike.

What is told of each arm: how long decisions took as the driver itself counts, and how long it was from the byte that
left the market until the driver had done everything about it, the reactor's other work included. The first part of an
arm's time is left out: readers connect, and one that does not read has to become stuck.
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

from bench_peers.ready_bot import START_NS, ready_bot, trading_config
from bench_peers.timing import pin_to_one_core
from bot.app import warm_up
from bot.assembly import assemble, engine_settings
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.engine.paper_fills import paper_venue
from bot.net.driver import Driver
from bot.net.outcome import DriverSettings, Outcome
from bot.net.telemetry import Telemetry

ARMS = ("off", "page", "again", "stuck")
"""`again` is `off` once more: how far two measurements of the same lie apart."""
LEFT_OUT_S, MEASURED_S = 1.5, 3.0
_STEP_NS = 5_000_000
_HEARTBEAT_NS = 20_000_000_000
_SECTIONS: dict[str, Any] = {
    "mode": "dry-run",
    "strategy": {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}},
    "sizing": {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05, "time_of_day": False},
    "telemetry": {"enabled": True},
}


def recorded(config: Config, wanted: int) -> tuple[list[tuple[int, bytes | None]], list[bytes]]:
    """Return what reaches a bot until it is READY, with its times (None for a timer), and so many deliveries after."""
    bot = ready_bot(config)
    login, deliveries, heard_ns = list(bot.inputs), list[bytes](), bot.now_ns
    while len(deliveries) < wanted:
        for data in bot.step(_STEP_NS):
            bot.deliver(data)
            deliveries.append(data)
        if bot.now_ns - heard_ns > _HEARTBEAT_NS:
            bot.hear(bot.time_out())
            heard_ns = bot.now_ns
        bot.inputs.clear()
    return login, deliveries[:wanted]


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

    def __init__(self, driver: Driver, begun: Callable[[], None], done: Callable[[], None]) -> None:
        self._driver, self._begun, self._done = driver, begun, done
        self.taken: list[tuple[int, int]] = []
        self.decided: list[tuple[int, int]] = []
        self._bytes = 0

    def connectionMade(self) -> None:  # noqa: N802
        self._begun()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        figures = self._driver.figures
        before = len(figures.decision_ns)
        self._driver.link_data(data)
        done_ns = time.monotonic_ns()
        self._bytes += len(data)
        self.taken.append((self._bytes, done_ns))
        if len(figures.decision_ns) > before:
            self.decided.append((done_ns, figures.decision_ns[-1]))

    def connectionLost(self, _reason: object = None) -> None:  # noqa: N802
        self._done()


class _Turns:
    """Lets one arm follow the other. `spans` are those that count: arm, begin and end, ns of the monotonic clock."""

    def __init__(self, reactor: Any, driver: Driver, telemetry: Telemetry, rounds: int, core: int, place: str) -> None:
        self._reactor, self._driver, self._telemetry = reactor, driver, telemetry
        self._order = [arm for n in range(rounds) for arm in (*ARMS[n % len(ARMS) :], *ARMS[: n % len(ARMS)])]
        self.spans: list[tuple[str, int, int]] = []
        self.counts = {arm: {"made": 0, "dropped": 0} for arm in ARMS}
        self._lookers = {}
        for role in ("page", "stuck"):
            command = [sys.executable, "-m", "bench_peers.telemetry_outside", role, "--core", str(core)]
            self._lookers[role] = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
            self._tell(role, place)

    def begin(self) -> None:
        """Begin the next arm."""
        if not self._order:
            return
        arm = self._order.pop(0)
        is_seen = arm in self._lookers
        self._driver._watchers = [self._telemetry.watch] if is_seen else []
        if is_seen:
            self._tell(arm, "go\n")
        before = self._telemetry._feed.made, self._telemetry._readers.dropped
        begin_ns = time.monotonic_ns() + round(LEFT_OUT_S * 1e9)
        self._reactor.callLater(LEFT_OUT_S + MEASURED_S, self._end, arm, begin_ns, before)

    def _end(self, arm: str, begin_ns: int, before: tuple[int, int]) -> None:
        self.spans.append((arm, begin_ns, time.monotonic_ns()))
        self.counts[arm]["made"] += self._telemetry._feed.made - before[0]
        self.counts[arm]["dropped"] += self._telemetry._readers.dropped - before[1]
        for reader in list(self._telemetry._readers._readers):
            reader.cut()
        self.begin()

    def _tell(self, role: str, text: str) -> None:
        pipe = self._lookers[role].stdin
        assert pipe is not None
        pipe.write(text)
        pipe.flush()

    def close(self) -> None:
        """End those who look."""
        for process in self._lookers.values():
            process.kill()
            process.communicate()


def run(rounds: int, per_s: float, folder: Path, core: int) -> dict[str, Any]:
    """Measure every arm so many times, in an order that rotates; return what was measured of each, by round."""
    from twisted.internet import reactor

    runtime: Any = reactor
    config = trading_config(**_SECTIONS, state={"directory": str(folder / "state")})
    warm_up(engine_settings(config, "rehearsal"))
    wanted = round((rounds * len(ARMS) * (LEFT_OUT_S + MEASURED_S) + 1) * per_s)
    login, deliveries = recorded(config, wanted)
    path, sent = folder / "deliveries.bin", folder / "sent.bin"
    path.write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in deliveries))
    clock = {"now_ns": START_NS, "since_ns": 0}

    def now_ns() -> int:
        return clock["now_ns"] + (time.monotonic_ns() - clock["since_ns"] if clock["since_ns"] else 0)

    made = assemble(config, ClientSecrets("the-client-id", "the-client-secret"), Token("t", "r"), "bench")
    made.paper = paper_venue(made.engine)
    telemetry = Telemetry(runtime, config, made.session, made.engine)
    telemetry.listen()
    driver = Driver(
        runtime,
        DriverSettings(60.0, None, False),
        made.session,
        made.engine,
        made.pipeline,
        lambda driver: _NoClient(driver),  # type: ignore[arg-type,return-value]
        now_ns,
        paper=made.paper,
        beside=lambda driver: telemetry.beside(driver, None),
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
    clock["since_ns"] = time.monotonic_ns()
    place = (folder / "state" / "telemetry.json").read_text(encoding="utf-8")
    turns = _Turns(runtime, driver, telemetry, rounds, core, place)

    def finish() -> None:
        driver.stop(Outcome(0))
        runtime.callLater(0.2, runtime.stop)

    market = _Market(driver, turns.begin, finish)
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: market  # type: ignore[method-assign,assignment]
    port = runtime.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    options = ["--port", port, "--deliveries", path, "--per-s", per_s, "--sent", sent, "--core", core]
    feeder = subprocess.Popen([sys.executable, "-m", "bench_peers.telemetry_outside", "market", *map(str, options)])
    gc.collect()
    gc.freeze()
    try:
        runtime.run(installSignalHandlers=False)
    finally:
        turns.close()
        feeder.wait(60)
    return {"rounds": _by_round(turns, market, deliveries, array("q", sent.read_bytes())), "counts": turns.counts}


def _by_round(
    turns: _Turns, market: _Market, deliveries: list[bytes], sent_ns: "array[int]"
) -> list[dict[str, dict[str, list[float]]]]:
    """Return microseconds of every decision and delivery: round -> arm -> kind."""
    times: list[dict[str, list[float]]] = [{"decision": [], "whole": []} for _ in turns.spans]

    def span_at(at_ns: int) -> dict[str, list[float]] | None:
        found = (times[n] for n, (_, begin_ns, end_ns) in enumerate(turns.spans) if begin_ns <= at_ns < end_ns)
        return next(found, None)

    for done_ns, took_ns in market.decided:
        if (span := span_at(done_ns)) is not None:
            span["decision"].append(took_ns / 1000)
    end = at = 0
    for data, left_ns in zip(deliveries, sent_ns, strict=True):
        end += len(data)
        while market.taken[at][0] < end:
            at += 1
        if (span := span_at(left_ns)) is not None:
            span["whole"].append((market.taken[at][1] - left_ns) / 1000)
    arms = [(arm, span) for (arm, _, _), span in zip(turns.spans, times, strict=True)]
    return [dict(arms[n : n + len(ARMS)]) for n in range(0, len(arms), len(ARMS))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--per-s", type=float, required=True)
    wanted = parser.parse_args()
    core = pin_to_one_core()
    with tempfile.TemporaryDirectory(prefix="microlev-bench-") as folder:
        result = run(wanted.rounds, wanted.per_s, Path(folder), -1 if core is None else core)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
