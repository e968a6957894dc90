"""Whole scripts: the examples play to their end, each the same way twice, and together they show every fault."""

import random
from pathlib import Path
from typing import Any

import pytest
from venue_client import ACCOUNT, EURUSD, SECOND, START_NS, Client, Desk

from bot.ctrader.framing import frame
from bot.ctrader.schema import enum, envelope, message
from bot.net.fault_script import load_faults
from bot.sim.faults.script import WHATS, FaultScript, name_of
from bot.sim.listing import default_symbols

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "config" / "faults").glob("*.yaml"))
SYMBOLS = [spec.name for spec in default_symbols()]
MINUTES = {"random_week": 24 * 60}


class Trader:
    """A client that trades on, whatever happens: it connects, logs in and orders again, and notes what it hears."""

    def __init__(self, script: FaultScript, seed: int = 1) -> None:
        self.desk = Desk(options={"faults": script, "seed": seed})
        self.heard: list[tuple[float, str]] = []
        self._chance = random.Random(5)
        self._client: Client | None = None
        self._token = "trade"

    def run(self, minutes: float, step_s: float) -> None:
        for _ in range(round(minutes * 60 / step_s)):
            self._act()
            mid = 110_000 + self._chance.randint(-50, 50)
            self.desk.quote(EURUSD, [(mid - 1, 10**12)], [(mid + 1, 10**12)], wait_s=0)
            self.desk.wait(step_s)
            self._listen()

    def _act(self) -> None:
        if self._client is None or self._client.link.is_closed:
            self._client = Client(self.desk, self.desk.venue.connect(self.desk.now_ns))
        if not self._client.link.requests.is_client:
            self._send("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
        if ACCOUNT not in self._client.link.requests.accounts:
            self._send("ProtoOAAccountAuthReq", accessToken=self._token, ctidTraderAccountId=ACCOUNT)
            self._send("ProtoOASubscribeSpotsReq", ctidTraderAccountId=ACCOUNT, symbolId=[EURUSD])
        side = enum("ProtoOATradeSide")[self._chance.choice(["BUY", "SELL"])]
        order = {"symbolId": EURUSD, "orderType": 1, "tradeSide": side, "volume": 100_000}
        self._send("ProtoOANewOrderReq", ctidTraderAccountId=ACCOUNT, **order)
        if len(self.desk.account.positions) > 5:
            position = next(iter(self.desk.account.positions.values()))
            close = {"positionId": position.position_id, "volume": position.volume_cents}
            self._send("ProtoOAClosePositionReq", ctidTraderAccountId=ACCOUNT, **close)

    def _send(self, name: str, **fields: Any) -> None:
        assert self._client is not None
        body = frame(envelope(message(name)(**fields), f"id-{len(self.heard)}"))
        self._client.link.receive(body, self.desk.now_ns)
        self._listen()

    def _listen(self) -> None:
        assert self._client is not None
        now = (self.desk.now_ns - START_NS) / SECOND
        for msg_id, body in self._client.received():
            self.heard.append((now, f"{msg_id} {body.DESCRIPTOR.name} {body}"))
            if body.DESCRIPTOR.name == "ProtoOARefreshTokenRes":
                self._token = body.accessToken
            elif getattr(body, "errorCode", "") == "OA_AUTH_TOKEN_EXPIRED" and self._token == "trade":
                self._send("ProtoOARefreshTokenReq", refreshToken="refresh")


def played(path: Path, seed: int = 1) -> Trader:
    trader = Trader(load_faults(path, SYMBOLS), seed)
    trader.run(MINUTES.get(path.stem, 30), step_s=60 if path.stem in MINUTES else 5)
    return trader


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow) if p.stem in MINUTES else p for p in EXAMPLES],
    ids=lambda path: path.stem,
)
def test_an_example_plays_to_its_end_and_twice_the_same(path: Path) -> None:
    script = load_faults(path, SYMBOLS)
    first, second = played(path), played(path)
    assert first.heard == second.heard
    stage = first.desk.venue.stage
    assert list(stage.fired) == list(second.desk.venue.stage.fired)
    expected = {name_of(fault.what) for fault in (*script.faults, *(script.random.faults if script.random else ()))}
    assert {name_of(fired.what) for fired in stage.fired} == expected, "every fault of the file struck"
    problems = [fired.line() for fired in stage.fired if fired.problem is not None]
    assert [line for line in problems if "manual_trade" not in line] == []
    assert any("ORDER" in text or "ProtoOAExecutionEvent" in text for time, text in first.heard if time > 600)


def test_the_examples_show_every_fault() -> None:
    shown = set()
    for path in EXAMPLES:
        script = load_faults(path, SYMBOLS)
        shown |= {name_of(fault.what) for fault in script.faults}
    assert shown == set(WHATS)


def test_another_seed_draws_another_week_and_the_rate_is_the_one_asked_for() -> None:
    path = next(path for path in EXAMPLES if path.stem == "random_week")
    script = load_faults(path, SYMBOLS)
    times = []
    for seed in (1, 2, 3):
        desk = Desk(options={"faults": FaultScript(random=script.random), "seed": seed})
        for _ in range(60):
            desk.wait(3_600)
        drawn = [fired for fired in desk.venue.stage.fired if fired.why == "drawn by chance"]
        times.append([fired.time_ns for fired in drawn])
    assert times[0] != times[1] != times[2]
    without_targets = sum(not fault.when.on_request and not fault.when.on_event for fault in script.random.faults)
    expected = 3 * 60 * 6 * without_targets / len(script.random.faults)
    assert abs(sum(map(len, times)) - expected) < 5 * expected**0.5


def test_how_finely_the_clock_is_moved_changes_nothing_but_when_it_is_seen() -> None:
    path = next(path for path in EXAMPLES if path.stem == "session")
    script = load_faults(path, SYMBOLS)
    fired = []
    for step_s in (0.1, 7.0, 1_000.0):
        desk = Desk(options={"faults": script})
        desk.client()
        for _ in range(round(1_000 / step_s)):
            desk.wait(step_s)
        fired.append([(entry.time_ns, entry.what) for entry in desk.venue.stage.fired])
    assert fired[0] == fired[1] == fired[2] != []


def test_a_venue_without_faults_sends_what_it_sent_before_there_were_any() -> None:
    bare, scripted = Trader(FaultScript()), Trader(FaultScript(seed=9))
    for trader in (bare, scripted):
        trader.run(5, 1)
    assert bare.heard == scripted.heard
    stage = bare.desk.venue.stage
    assert not (stage.watches_hearing or stage.watches_requests or stage.watches_sending)
