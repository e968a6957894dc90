"""Anything may happen, in any order: the bot, killed at any point, ends in agreement with the venue; it never overbuys.

The machine draws accounts, markets, strategies and steps; the embedded venue is the model. While it runs,
`order_watch` holds each order against the venue's own figures; when it is over, `world_truth` compares everything.
`MICROLEV_FRESH_SEEDS=1` draws other examples than the ones that every run repeats.
"""

import os
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from trading_world import ON_CALL, Kind, TradingWorld
from wired_bot import ACCOUNT, SECOND
from wish_board import WISH
from world_deaths import POINTS
from world_kinds import kinds
from world_truth import settle

from bot.ctrader.schema import enum, message
from bot.sim.entities import OrderRefused, Refused
from bot.sim.faults import link_faults, reply_faults, venue_faults
from bot.sim.faults.script import When

TOTALS: Counter[str] = Counter()
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""No power cut is played here, so the ledgers need not wait for a disk."""
STEPS = 10_000
"""What the slow variant takes in all."""

SETTLED_EVERY = 15
"""So many steps lie between two settlements, and another comes at the end."""

NAMES = {"EURUSD": 1, "USDJPY": 2, "BTCUSD": 6}
VOLUMES = {1: 2_000_000, 2: 2_000_000, 3: 2_000_000, 4: 2_000_000, 5: 1_000, 6: 20}
TRADES = ("ProtoOANewOrderReq", "ProtoOAClosePositionReq", "ProtoOAAmendOrderReq", "ProtoOACancelOrderReq")
EXECUTION = ("ProtoOAExecutionEvent",)
KINDS = ("ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED", "DEPOSIT_WITHDRAW")

waits_s = st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.5])
symbols = st.sampled_from(list(NAMES))
sides = st.sampled_from(["buy", "sell"])


class Trading(RuleBasedStateMachine):
    """One world; a step is whatever can happen to it, and some time after it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="microlev-world-", dir=MEMORY))
        self.world: TradingWorld | None = None
        self.since_settled = 0

    @property
    def at(self) -> TradingWorld:
        """The world, once it exists."""
        assert self.world is not None
        return self.world

    @initialize(kind=kinds)
    def open(self, kind: Kind) -> None:
        self.world = TradingWorld(self.folder, kind)
        self.at.let(1.5)

    def _step(self, name: str, wait_s: float) -> None:
        TOTALS["steps"] += 1
        self.since_settled += 1
        TOTALS[f"step: {name}"] += 1
        self.at.let(wait_s)
        if self.at.result is not None:
            self.at._check_alive(may_end=False)

    # -- time, and what is wanted -------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.0, 12.0]))
    def time_passes(self, seconds: float) -> None:
        self._step("time", seconds)

    @rule(seconds=st.sampled_from([40.0, 100.0]))
    def long_time_passes(self, seconds: float) -> None:
        self._step("long time", seconds)

    @precondition(lambda self: self.world is not None and self.world.kind.strategy == ON_CALL)
    @rule(share=st.sampled_from([0.0, 0.3, 0.6, 1.0]), wait_s=waits_s)
    def something_else_is_wanted(self, share: float, wait_s: float) -> None:
        WISH.share = share
        self.at.note(f"wish for {share}")
        self._step("wish", wait_s)

    # -- deaths -------------------------------------------------------------------------------------------------------

    @rule(point=st.sampled_from(POINTS), count=st.integers(1, 4), wait_s=st.sampled_from([0.3, 1.0, 2.5]))
    def the_bot_will_be_killed(self, point: str, count: int, wait_s: float) -> None:
        self.at.note(f"will be killed at {point} {count}")
        self.at.deaths.arm(point, count)
        self._step("kill at a point", wait_s)

    @rule(wait_s=waits_s)
    def the_bot_is_killed(self, wait_s: float) -> None:
        self.at.note("killed")
        self.at.die()
        self._step("kill", wait_s)

    @rule(wait_s=waits_s)
    def the_bot_is_stopped_and_started(self, wait_s: float) -> None:
        self.at.note("stop")
        self.at.stop()
        self._step("stop", wait_s)

    # -- the connection -----------------------------------------------------------------------------------------------

    @rule(abort=st.booleans(), wait_s=waits_s)
    def the_connection_breaks(self, abort: bool, wait_s: float) -> None:
        self.at.play(link_faults.Drop(abort=abort))
        self._step("drop", wait_s)

    @rule(way=st.sampled_from(["read", "write"]), wait_s=waits_s)
    def the_connection_breaks_within_a_frame(self, way: str, wait_s: float) -> None:
        self.at.note(f"cut {way}")
        self.at.link.cut = way
        self._step("cut", wait_s)

    @rule(when=st.sampled_from(["before", "after_execution", "after_reply"]), wait_s=waits_s)
    def an_order_breaks_the_connection(self, when: str, wait_s: float) -> None:
        self.at.play(link_faults.Drop(when=when), when=When(on_request=TRADES))
        self._step("drop at an order", wait_s)

    @rule(
        direction=st.sampled_from(["both", "inbound", "outbound"]),
        fate=st.sampled_from(["lost", "late"]),
        for_s=st.sampled_from([1, 8, 20]),
        wait_s=waits_s,
    )
    def the_venue_falls_silent(self, direction: str, fate: str, for_s: int, wait_s: float) -> None:
        self.at.play(link_faults.Silence(direction, fate), for_ns=for_s * SECOND)
        self._step("silence", wait_s)

    @rule(wait_s=waits_s)
    def messages_take_longer(self, wait_s: float) -> None:
        ms = 1_000_000
        self.at.play(link_faults.Latency(150 * ms, 250 * ms, 100 * ms), for_ns=10 * SECOND)
        self._step("latency", wait_s)

    # -- requests, answers, events ------------------------------------------------------------------------------------

    @rule(request=st.sampled_from(["ignored", "executed"]), count=st.integers(1, 3), wait_s=waits_s)
    def an_order_is_not_answered(self, request: str, count: int, wait_s: float) -> None:
        self.at.play(reply_faults.NoReply(request), when=When(on_request=TRADES), times=count)
        self._step("no reply", wait_s)

    @rule(request=st.sampled_from(["ignored", "executed"]), wait_s=waits_s)
    def a_question_is_not_answered(self, request: str, wait_s: float) -> None:
        asked = ("ProtoOAReconcileReq", "ProtoOAOrderListReq", "ProtoOADealListReq", "ProtoOACashFlowHistoryListReq")
        self.at.play(reply_faults.NoReply(request), when=When(on_request=asked))
        self._step("no answer", wait_s)

    @rule(
        shape=st.sampled_from(["error_res", "common", "order_error", "execution"]),
        code=st.sampled_from(
            ["TIMEOUT_ERROR", "SOMETHING_NEW", "NOT_ENOUGH_MONEY", "POSITION_LOCKED", "MARKET_CLOSED"]
        ),
        wait_s=waits_s,
    )
    def an_order_is_refused(self, shape: str, code: str, wait_s: float) -> None:
        self.at.play(reply_faults.Reject(code, shape), when=When(on_request=TRADES))
        self._step("refusal", wait_s)

    @rule(
        what=st.sampled_from(
            [
                link_faults.LoseEvent(),
                link_faults.Late(15 * SECOND),
                link_faults.Late(2 * SECOND),
                link_faults.Reorder(),
                link_faults.Duplicate(300_000_000),
                link_faults.Duplicate(40 * SECOND),
            ]
        ),
        kind=st.sampled_from([(), *[(kind,) for kind in KINDS]]),
        wait_s=waits_s,
    )
    def an_event_goes_astray(self, what: Any, kind: tuple[str, ...], wait_s: float) -> None:
        self.at.play(what, when=When(on_event=EXECUTION, kinds=kind))
        self._step("event astray", wait_s)

    @rule(
        fraction=st.sampled_from([0.2, 0.7]),
        rest=st.sampled_from(["cancelled", "filled"]),
        slow_ms=st.sampled_from([200, 1_500, 5_000]),
        wait_s=waits_s,
    )
    def an_order_is_filled_in_part(self, fraction: float, rest: str, slow_ms: int, wait_s: float) -> None:
        self.at.note(f"partial fill {fraction} {rest} {slow_ms} ms")
        self.at.venue.partial_fill(ACCOUNT, fraction, rest, slow_ms * 1_000_000)
        self._step("partial fill", wait_s)

    @rule(code=st.sampled_from(["MAX_EXPOSURE_REACHED", "NO_QUOTES"]), accepted=st.booleans(), wait_s=waits_s)
    def an_order_is_rejected(self, code: str, accepted: bool, wait_s: float) -> None:
        self.at.note(f"rejection {code} {accepted}")
        self.at.venue.reject_next(ACCOUNT, code, accepted_first=accepted)
        self._step("rejection", wait_s)

    # -- the market ---------------------------------------------------------------------------------------------------

    @rule(name=symbols, bps=st.sampled_from([-300, -40, 40, 300]), for_s=st.sampled_from([2, 20]), wait_s=waits_s)
    def prices_jump(self, name: str, bps: int, for_s: int, wait_s: float) -> None:
        self.at.play(venue_faults.Shift(bps), symbol=name, for_ns=for_s * SECOND)
        self._step("jump", wait_s)

    @rule(
        name=symbols,
        what=st.sampled_from(
            [
                venue_faults.EmptyBook("bid"),
                venue_faults.EmptyBook("ask"),
                venue_faults.EmptyBook("both"),
                venue_faults.CrossedBook(),
                venue_faults.StopQuotes(),
                venue_faults.CloseMarket(),
                venue_faults.TradingMode("CLOSE_ONLY_MODE"),
                venue_faults.TradingMode("DISABLED_WITHOUT_PENDINGS_EXECUTION"),
            ]
        ),
        for_s=st.sampled_from([3, 30]),
        wait_s=waits_s,
    )
    def a_market_fails(self, name: str, what: Any, for_s: int, wait_s: float) -> None:
        self.at.play(what, symbol=name, for_ns=for_s * SECOND)
        self._step("market", wait_s)

    # -- the broker ---------------------------------------------------------------------------------------------------

    @rule(ratio=st.sampled_from([500, 100, 30, 8]), wait_s=waits_s)
    def leverage_is_changed(self, ratio: int, wait_s: float) -> None:
        self.at.play(venue_faults.LeverageChange(ratio))
        self._step("leverage", wait_s)

    @rule(name=symbols, factor=st.sampled_from([0.5, 2.0, 4.0]), wait_s=waits_s)
    def tiers_are_changed(self, name: str, factor: float, wait_s: float) -> None:
        self.at.play(venue_faults.MarginChange(factor, tiers=True), symbol=name)
        self._step("tiers", wait_s)

    @rule(factor=st.sampled_from([1.0, 1.0, 3.0]), wait_s=waits_s)
    def margin_is_changed(self, factor: float, wait_s: float) -> None:
        self.at.play(venue_faults.MarginChange(factor))
        self._step("margin", wait_s)

    @rule(frac=st.sampled_from([0.02, 0.3]), deposit=st.booleans(), wait_s=waits_s)
    def money_moves(self, frac: float, deposit: bool, wait_s: float) -> None:
        account = self.at.venue.desks[ACCOUNT].account
        money = (Decimal(max(account.balance, 0)) * Decimal(str(frac))).scaleb(-account.money_digits)
        money = money.quantize(Decimal(1).scaleb(-account.money_digits))
        if money > 0:
            cls = venue_faults.Deposit if deposit else venue_faults.Withdraw
            self.at.play(cls(money))
        self._step("money", wait_s)

    @rule(money=st.sampled_from([-25, 3]), wait_s=waits_s)
    def swap_is_booked(self, money: int, wait_s: float) -> None:
        for position_id in list(self.at.venue.desks[ACCOUNT].account.positions):
            self.at.note(f"swap {money} on {position_id}")
            self.at.venue.book_swap(position_id, money)
        self._step("swap", wait_s)

    @rule(wait_s=waits_s)
    def the_account_is_stopped_out(self, wait_s: float) -> None:
        account = self.at.venue.desks[ACCOUNT].account
        if account.positions and account.used_margin() and account.equity() > 0:
            factor = max(Decimal(1), Decimal(3) * account.equity() / account.used_margin())
            largest = max(account.positions.values(), key=lambda held: held.used_margin)
            self.at.note(f"margin of {largest.position_id} times {factor}")
            self.at.meddle()
            self.at.venue.set_margin(largest.position_id, factor * largest.margin_factor)
        self._step("stop-out", wait_s)

    # -- the owner ----------------------------------------------------------------------------------------------------

    @rule(symbol_id=st.sampled_from([1, 2, 4, 6]), side=sides, size=st.integers(1, 5), wait_s=waits_s)
    def the_owner_trades(self, symbol_id: int, side: str, size: int, wait_s: float) -> None:
        self._by_hand("opens", lambda: self.at.venue.trade_by_hand(ACCOUNT, symbol_id, side, size * VOLUMES[symbol_id]))
        self._step("owner opens", wait_s)

    @rule(which=st.integers(0, 5), share=st.sampled_from([0.4, 1.0]), wait_s=waits_s)
    def the_owner_closes(self, which: int, share: float, wait_s: float) -> None:
        positions = list(self.at.venue.desks[ACCOUNT].account.positions.values())
        if positions:
            held = positions[which % len(positions)]
            step = self.at.venue.specs[held.symbol_id].step_volume_cents
            part = max(step, int(held.volume_cents * share) // step * step)
            self._by_hand("closes", lambda: self.at.venue.close_by_hand(ACCOUNT, held.position_id, part))
        self._step("owner closes", wait_s)

    @rule(symbol_id=st.sampled_from([1, 2, 6]), side=sides, bps=st.sampled_from([1, 50]), wait_s=waits_s)
    def the_owner_places_an_order(self, symbol_id: int, side: str, bps: int, wait_s: float) -> None:
        venue = self.at.venue
        book, spec = venue.books[symbol_id], venue.specs[symbol_id]
        if book.bid_e5 and book.ask_e5:
            mid = (book.bid_e5 + book.ask_e5) / 200_000
            request = message("ProtoOANewOrderReq")(
                ctidTraderAccountId=ACCOUNT,
                symbolId=symbol_id,
                orderType=enum("ProtoOAOrderType")["LIMIT"],
                tradeSide=enum("ProtoOATradeSide")[side.upper()],
                volume=VOLUMES[symbol_id],
                limitPrice=round(mid * (1 - bps / 1e4 if side == "buy" else 1 + bps / 1e4), spec.digits),
            )
            self._by_hand("places", lambda: venue.desk(ACCOUNT).place(request, venue.now_ns, venue.teller(ACCOUNT)))
            venue.reschedule()
        self._step("owner places", wait_s)

    def _by_hand(self, what: str, act: Any) -> None:
        self.at.meddle()
        try:
            act()
            self.at.note(f"the owner {what}")
        except (OrderRefused, Refused) as refused:
            self.at.note(f"the owner {what}, in vain: {refused}")

    # -- the end ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.since_settled >= SETTLED_EVERY)
    @rule()
    def all_is_settled(self) -> None:
        self.since_settled = 0
        self._settle()
        self._step("settled", 0.0)

    def _settle(self) -> None:
        # Orders that somebody has placed by hand fill whenever they like: meddling without end.
        self.at.meddle()
        settle(self.at)

    def teardown(self) -> None:
        try:
            if self.world is not None and not self.world.has_failed:
                self._settle()
                for counts in (self.world.counts, self.world.orders.counts):
                    TOTALS.update(counts)
                TOTALS["worlds"] += 1
        except AssertionError as error:
            note(str(error))
            raise
        finally:
            if self.world is not None:
                self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def run(examples: int, steps: int) -> None:
    """Run the machine on examples of this many steps each; the same ones each time, unless fresh ones are asked for."""
    fresh = os.environ.get("MICROLEV_FRESH_SEEDS") == "1"
    TOTALS.clear()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Trading,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=not fresh,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
        ),
    )
    print("; ".join(f"{name} {count}" for name, count in sorted(TOTALS.items())))


def test_a_few_lives_of_the_bot_end_in_agreement_with_the_venue() -> None:
    run(examples=5, steps=25)
    assert TOTALS["steps"] >= 80 and TOTALS["deaths"] >= 2 and TOTALS["checked"] >= 20, "too little has happened"


@pytest.mark.slow
def test_ten_thousand_steps_end_in_agreement_with_the_venue() -> None:
    run(examples=225, steps=60)
    assert TOTALS["steps"] >= STEPS
    never = [name for name in RULES if not TOTALS[f"step: {name}"]]
    assert not never, "these never happened"
    assert TOTALS["deaths"] >= 300 and TOTALS["unknown"] >= 300 and TOTALS["filled"] >= 3_000
    assert TOTALS["checked"] >= 5 * TOTALS["blind"], "too many orders were not held against the limits"


RULES = ("time", "wish", "kill at a point", "stop", "no reply", "event astray", "stop-out", "owner opens", "settled")
