"""Faults over real sockets and TLS: the command line trades through them, and ends with everything in order."""

from pathlib import Path
from typing import Any

import pytest
from private_reactor import ACCOUNT, SECRETS, Bench, bench  # noqa: F401 - a fixture

from bot.config.token_file import Token, read_token_file, write_token_file
from bot.ctrader.schema import payload_type
from bot.sim.faults.link_faults import Drop, Split
from bot.sim.faults.reply_faults import NoReply
from bot.sim.faults.script import Fault, When
from bot.sim.faults.session_faults import (
    AccountDisconnect,
    Block,
    ClientDisconnect,
    ExpireToken,
    Maintenance,
    RefuseConnections,
)
from bot.sim.snapshot import snapshot

pytestmark = pytest.mark.slow

SECOND = 1_000_000_000
ORDER = "ProtoOANewOrderReq"


class Trading:
    """`microlev run` against the venue, for a few seconds, while something goes wrong."""

    def __init__(self, bench: Bench) -> None:  # noqa: F811
        self.bench = bench
        self.server = bench.serve()
        self.stage = self.server.venue.stage
        execution = {"order_timeout_s": 1, "settle_s": 0.5, "min_interval_s": 0.2}
        self.config = bench.config(mode="trade", execution=execution)

    def on_order(self, what: Any, **more: Any) -> None:
        """Something happens at the first order."""
        self.stage.play(Fault(what, When(on_request=(ORDER,)), **more), self.server.venue.now_ns)

    def at(self, seconds: float, *whats: Any, for_s: float | None = None) -> None:
        """Something happens some seconds after the start of the run."""

        def strike() -> None:
            for what in whats:
                lasts = None if for_s is None else round(for_s * SECOND)
                self.stage.fire(what, for_ns=lasts)
            self.server._now()

        self.bench.reactor.callLater(seconds, strike)

    def run(self, seconds: float) -> "Trading":
        """Run; everything must be as the venue has it when it is over."""
        code = self.bench.microlev("run", self.config, "--seconds", seconds, "--json", limit_s=seconds + 30)
        assert code == 0, self.bench.err
        summary = self.bench.lines[-1]
        truth = snapshot(self.server.venue, ACCOUNT)
        held = {p["position_id"]: p["volume_cents"] for p in summary["positions"]}
        assert held == {p.position_id: p.signed_volume_cents for p in truth.positions}
        assert len(held) == 1, "bought once"
        assert summary["balance"] == truth.balance / 10**truth.money_digits
        assert summary["open_orders"] == []
        assert not truth.orders
        log = self.stage.request_log
        assert log.max_in_window(SECOND, historical=False) <= 50
        assert log.max_in_window(SECOND, historical=True) <= 5
        assert "Traceback" not in self.bench.err
        return self

    @property
    def states(self) -> list[str]:
        return [line["state"] for line in self.bench.lines if line["type"] == "order"]

    @property
    def connections(self) -> int:
        return int(self.bench.lines[-1]["connections"])

    def heard(self, name: str) -> int:
        return sum(heard.payload_type == payload_type(name) for heard in self.stage.request_log)


@pytest.fixture
def trading(bench: Bench) -> Trading:  # noqa: F811
    return Trading(bench)


@pytest.mark.parametrize("abort", [False, True])
@pytest.mark.parametrize("when", ["before", "after_execution", "after_reply"])
def test_a_line_that_breaks_at_an_order_is_made_again(when: str, abort: bool, trading: Trading) -> None:
    trading.on_order(Drop(when, abort=abort))
    trading.run(5)
    assert trading.connections == 2
    assert trading.states[-1] == "filled"
    assert trading.heard(ORDER) == (2 if when == "before" else 1)


def test_an_order_without_an_answer_is_looked_up(trading: Trading) -> None:
    trading.on_order(NoReply("executed"))
    trading.run(4)
    assert "unknown" in trading.states
    assert trading.heard(ORDER) == 1


def test_bytes_that_come_one_by_one_are_the_same_messages(trading: Trading) -> None:
    trading.at(0, Split(1), for_s=2)
    trading.run(4)
    assert trading.connections == 1


def test_refused_connections_are_tried_again(trading: Trading) -> None:
    trading.at(1.5, RefuseConnections(), Drop(), for_s=3)
    trading.run(9)
    assert trading.connections == 2
    assert trading.stage.links_opened >= 3


@pytest.mark.parametrize("shape", ["error_res", "common"])
def test_maintenance_is_waited_for(shape: str, trading: Trading) -> None:
    trading.on_order(Maintenance(shape), for_ns=3 * SECOND)
    trading.run(10)
    assert 2 <= trading.connections <= 3
    assert trading.states[-1] == "filled"


@pytest.mark.parametrize("end", [AccountDisconnect(), ClientDisconnect()])
def test_a_session_that_ends_is_opened_again(end: Any, trading: Trading) -> None:
    trading.at(1.5, end)
    trading.run(5)
    assert trading.connections == (1 if isinstance(end, AccountDisconnect) else 2)
    assert trading.heard("ProtoOAAccountAuthReq") == 2


def test_a_token_that_expires_is_renewed_over_the_socket(trading: Trading, tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    write_token_file(path, Token(SECRETS["access_token"], SECRETS["refresh_token"], None))
    credentials = {"access_token": None, "token_file": str(path)}
    trading.config = trading.bench.config(mode="trade", credentials=credentials)
    trading.at(1.5, ExpireToken())
    trading.run(5)
    assert trading.heard("ProtoOARefreshTokenReq") == 1
    assert read_token_file(path).access_token != SECRETS["access_token"]
    assert read_token_file(path).access_token not in trading.bench.out + trading.bench.err


def test_a_blocked_order_waits_for_its_time(trading: Trading) -> None:
    trading.at(0, Block((ORDER,), 3 * SECOND))
    trading.run(6)
    refused, accepted = [h for h in trading.stage.request_log if h.payload_type == payload_type(ORDER)]
    assert (refused.outcome, accepted.outcome) == ("BLOCKED_PAYLOAD_TYPE", "accepted")
    assert accepted.received_ns - refused.received_ns >= 2 * SECOND
