"""JSON lines against the contract: every key, no NaN, one time format, and how often."""

import dataclasses
import io
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wired_bot import START, WiredBot, bot_config, virtual_venue

from bot.account.risk import Refused
from bot.cli.lines import JsonLines, iso_time
from bot.engine.decision import DECISION_ROW, Decision, IntendedOrder, OrderChange

ORDER_KEYS = {
    "type", "time", "symbol", "action", "side", "volume_cents", "lots", "order_type", "position_id", "order_id",
    "client_order_id", "leverage_now", "leverage_target", "reason", "predicted_slippage_bps", "margin_before",
    "margin_after", "margin_level_after",
}  # fmt: skip
KEYS = {
    "intended_order": ORDER_KEYS,
    "order": ORDER_KEYS | {"state", "error_code", "paper"},
    "refused": {"type", "time", "symbol", "check", "value", "limit", "reason"},
    "decision": {
        "type", "time", "symbol", "mid", "spread_bps", "bid_depth_units", "ask_depth_units", "obi", "ofi", "impact_bps",
        "fill_frac", "liquidity_ratio", "leverage_now", "leverage_target", "factors", "crisis_level",
    },
    "state": {"type", "time", "ready", "reasons", "texts", "trading"},
    "summary": {"type", "time"},
}  # fmt: skip
# `executed_cents` and `execution_price` of an order are more than the contract asks for.
MORE = {"order": {"executed_cents", "execution_price"}}
ALLOWED = {
    "action": {"open", "increase", "reduce", "close", "place", "amend", "cancel"},
    "side": {"buy", "sell"},
    "order_type": {"market", "market_range", "limit", "stop"},
    "trading": {"active", "reducing", "halted"},
    "check": {
        "max_leverage", "max_symbol_leverage", "margin_use", "margin_level", "expected_margin", "stop_out_distance",
        "exit_cost", "daily_loss", "drawdown", "order_rate", "volume_limits", "stale_quote", "book_health",
        "crisis", "schedule", "conversion_rate", "unknown_order", "foreign_position", "not_ready", "halted",
    },
}  # fmt: skip
ORDER_STATES = {
    "sent", "accepted", "partially_filled", "filled", "replaced", "cancelled", "expired", "rejected", "unknown",
    "resolved",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def strict(text: str) -> dict[str, Any]:
    """Read a line as a strict reader would: no NaN, no infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {text}")

    line = json.loads(text, parse_constant=refuse)
    assert isinstance(line, dict)
    return line


def check(line: dict[str, Any]) -> None:
    kind = line["type"]
    if kind == "summary":
        assert line.keys() >= KEYS[kind]
    else:
        assert line.keys() == KEYS[kind] | MORE.get(kind, set())
    assert TIME.fullmatch(line["time"])
    for key, allowed in ALLOWED.items():
        assert line.get(key) in allowed | {None}, (key, line.get(key))
    if kind == "order":
        assert line["state"] in ORDER_STATES and isinstance(line["paper"], bool)
    if kind == "decision":
        assert isinstance(line["factors"], dict)
    if kind == "state":
        assert isinstance(line["ready"], bool) and len(line["reasons"]) == len(line["texts"])


class Lines:
    """The standard output of a run."""

    def __init__(self) -> None:
        self.out = io.StringIO()

    def watch(self, run: Any) -> list[JsonLines]:
        return [JsonLines(run, self.out)]

    @property
    def all(self) -> list[dict[str, Any]]:
        return [strict(text) for text in self.out.getvalue().splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.all if line["type"] == kind]


def ran(folder: Path, *, trade: bool, seconds: float = 6, **changes: Any) -> tuple[WiredBot, Lines]:
    lines = Lines()
    bot = WiredBot(
        folder, bot_config(folder, trade=trade, **changes), virtual_venue(), seconds=seconds, watch=lines.watch
    )
    bot.start().let(seconds + 15)
    return bot, lines


@pytest.mark.parametrize("trade", [False, True])
def test_every_line_has_the_keys_and_values_of_the_contract(trade: bool, tmp_path: Path) -> None:
    _, lines = ran(tmp_path, trade=trade, on_stop="flatten", risk={"max_leverage": 3.2, "max_symbol_leverage": 2.5})
    for line in lines.all:
        check(line)
    assert {line["type"] for line in lines.all} >= {"state", "decision", "intended_order", "order"}


@pytest.mark.parametrize("trade", [False, True])
def test_each_order_is_intended_once_and_then_told_of_at_each_state(trade: bool, tmp_path: Path) -> None:
    bot, lines = ran(tmp_path, trade=trade)
    intended = lines.of("intended_order")
    assert [line["client_order_id"] for line in intended] == ["run1-1", "run1-2"]
    for order in intended:
        states = [line for line in lines.of("order") if line["client_order_id"] == order["client_order_id"]]
        assert [line["state"] for line in states] == ["sent", "accepted", "filled"]
        assert all(line["paper"] is not trade for line in states)
        assert states[-1]["position_id"] is not None and states[-1]["order_id"] is not None
    assert bot.driver.figures.intended == 2


def test_every_order_line_of_a_dry_run_says_that_it_is_paper(tmp_path: Path) -> None:
    _, lines = ran(tmp_path, trade=False)
    assert [line["paper"] for line in lines.of("order")] == [True] * len(lines.of("order"))


def test_a_decision_is_shown_at_most_once_a_second_and_symbol(tmp_path: Path) -> None:
    _, lines = ran(tmp_path, trade=False, seconds=8)
    for symbol in ("EURUSD", "USDJPY"):
        times = [line["time"] for line in lines.of("decision") if line["symbol"] == symbol]
        seconds = [float(time[17:23]) + 60 * int(time[14:16]) for time in times]
        assert len(times) >= 6
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(seconds))


def test_a_state_line_comes_with_each_change_and_only_then(tmp_path: Path) -> None:
    lines = Lines()
    bot = WiredBot(tmp_path, None, virtual_venue(), seconds=10, watch=lines.watch).start()
    bot.until(lambda: bot.is_ready).let(2)
    bot.client.drop("cut")
    bot.let(20)
    states = [(line["ready"], tuple(line["reasons"]), line["trading"]) for line in lines.of("state")]
    assert states[0] == (False, ("connecting",), "active")
    assert [ready for ready, _, _ in states].count(True) >= 2
    assert (False, ("disconnected",), "active") in states
    assert all(earlier != later for earlier, later in itertools.pairwise(states))


def test_a_quote_that_stands_still_is_told_in_time_and_the_account_stays_ready(tmp_path: Path) -> None:
    lines = Lines()
    config = bot_config(tmp_path, risk={"stale_quote_s": 2})
    bot = WiredBot(tmp_path, config, virtual_venue(), watch=lines.watch).start()
    bot.until(lambda: bot.is_ready).let(1)
    quiet_from = bot.now_ns()
    bot.client.is_deaf = True
    bot.until(lambda: any("stale_quote:EURUSD" in line["reasons"] for line in lines.of("state")))
    assert (bot.now_ns() - quiet_from) / 1e9 <= 2 + 1
    assert lines.of("state")[-1]["ready"] is True


def test_a_market_that_is_not_known_yet_is_null_and_not_missing(tmp_path: Path) -> None:
    _, lines = ran(tmp_path, trade=False, seconds=0)
    first = lines.of("decision")[0]
    check(first)
    assert first["bid_depth_units"] is None


# -- whatever the engine may say -------------------------------------------------------------------------------------

numbers = st.floats(allow_nan=True, allow_infinity=True)
maybe = st.none() | numbers
words = st.text(max_size=20)
orders = st.builds(
    IntendedOrder,
    symbol=words, action=st.sampled_from(sorted(ALLOWED["action"])), side=st.sampled_from(["buy", "sell"]),
    volume_cents=st.integers(1, 2**60), lots=numbers, order_type=st.sampled_from(sorted(ALLOWED["order_type"])),
    position_id=st.none() | st.integers(1, 2**63), order_id=st.none() | st.integers(1, 2**63), client_order_id=words,
    leverage_now=maybe, leverage_target=maybe, reason=words, predicted_slippage_bps=maybe, margin_before=maybe,
    margin_after=maybe, margin_level_after=maybe,
)  # fmt: skip
changes = st.builds(
    OrderChange,
    order=orders, state=st.sampled_from(sorted(ORDER_STATES)), order_id=st.none() | st.integers(1, 2**63),
    position_id=st.none() | st.integers(1, 2**63), executed_cents=st.integers(0, 2**60), execution_price=maybe,
    error_code=st.none() | words, paper=st.booleans(),
)  # fmt: skip
refusals = st.builds(
    Refused, symbol=words, check=st.sampled_from(sorted(ALLOWED["check"])), value=maybe, limit=maybe, reason=words
)


@pytest.fixture(scope="module")
def ready_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    return WiredBot(folder, None, virtual_venue(), seconds=0).start().let(1).run


@given(
    now_ns=st.integers(0, 2**62),
    fill=numbers,
    intended=st.lists(orders, max_size=2),
    order_changes=st.lists(changes, max_size=2),
    refused=st.lists(refusals, max_size=2),
)
def test_whatever_a_decision_holds_its_lines_are_strict_json_with_every_key(
    ready_run: Any, now_ns: int, fill: float, intended: Any, order_changes: Any, refused: Any
) -> None:
    rows = np.zeros(1, DECISION_ROW)
    for name in DECISION_ROW.names or ():
        if name not in ("symbol", "bound", "crisis_level"):  # whole numbers, and always known
            rows[name] = fill
    lines = Lines()
    (see,) = lines.watch(ready_run)
    see(Decision(now_ns, rows, tuple(intended), (), tuple(order_changes), tuple(refused)))
    for line in lines.all:
        check(line)
    assert len(lines.all) == 1 + len(intended) + len(order_changes) + len(refused)
    if not math.isfinite(fill):
        assert lines.of("decision")[0]["mid"] is None


@given(st.integers(0, 2**62))
def test_a_time_is_cut_to_milliseconds_and_never_rounded_up(ns: int) -> None:
    text = iso_time(ns)
    assert TIME.fullmatch(text)
    assert int(text[20:23]) == ns // 1_000_000 % 1000
    assert int(text[17:19]) == ns // 1_000_000_000 % 60


def test_the_start_of_the_test_clock_is_where_it_should_be() -> None:
    assert iso_time(START) == "2023-11-14T22:13:20.000Z"


def test_the_keys_of_an_order_line_are_those_of_the_engine() -> None:
    assert {f.name for f in dataclasses.fields(IntendedOrder)} | {"type", "time"} == ORDER_KEYS
