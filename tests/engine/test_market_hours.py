"""The engine and the clock on the wall: weekends, holidays, trading modes, and a venue that says it is closed."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_desk import EURUSD, QUICK, SECOND, USDJPY, Desk, position

from bot.account.position import Position
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.engine.settings import SymbolChoice
from bot.execution.requests import (
    AskCashFlow,
    CheckFeed,
    ClosePosition,
    PlaceOrder,
    Request,
    ResolveOrders,
    ResubscribeDepth,
)
from bot.market.delta import END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.symbols import Holiday, SymbolSpec
from bot.sizing.leverage import LeverageLimits

HOUR_S, DAY_S = 3600, 86_400
FX_WEEK: dict[str, Any] = {
    "schedule": ((17 * HOUR_S, 5 * DAY_S + 17 * HOUR_S),),
    "schedule_time_zone": "America/New_York",
}
FX = replace(EURUSD, **FX_WEEK)
FX_JPY = replace(USDJPY, **FX_WEEK)
ALWAYS = replace(EURUSD, schedule=((0, 7 * DAY_S),))
CLOSED = "EURUSD is closed by its schedule until 2026-11-22T22:00Z"


def stamp(text: str) -> int:
    """Return UTC nanoseconds of an ISO time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) * 1_000_000


class HourlyDesk(Desk):
    """A desk whose symbols have hours, and whose clock starts where it is told to."""

    def __init__(self, at: str, *specs: SymbolSpec, **changes: Any) -> None:
        super().__init__(*(spec.name for spec in specs), **changes)
        self.specs = specs
        self.now_ns = stamp(at)

    def loaded(self, *specs: SymbolSpec, traded: int | None = None) -> ev.SymbolsLoaded:
        return super().loaded(*(specs or self.specs), traded=traded)

    def go_to(self, at: str, *quoted: str, step_s: float = 60) -> None:
        """Let time pass in steps; the `quoted` symbols tick at each of them."""
        end = stamp(at)
        while self.now_ns < end:
            self.now_ns = min(end, self.now_ns + round(step_s * SECOND))
            self.hear()
            for name in quoted:
                self.quote(name)

    def since(self, count: int, kind: str) -> list[Any]:
        return self.lines(kind)[count:]

    def texts(self) -> tuple[str, ...]:
        return next(d.state.texts for d in reversed(self.decisions) if d.state is not None)


def test_a_weekend_passes_without_an_order_a_halt_or_a_second_refusal_and_trading_goes_on_after_it() -> None:
    desk = HourlyDesk("2026-11-20T21:58:00", FX, FX_JPY, base_leverage=2.0, max_daily_loss_frac=0.05)
    desk.fill(desk.begin())
    desk.now_ns += 2 * SECOND
    desk.fill(desk.quote("USDJPY"))
    equity = desk.engine.valuation.equity
    desk.go_to("2026-11-20T21:59:59", "EURUSD", "USDJPY", step_s=1)
    orders = len(desk.lines("intended"))
    desk.go_to("2026-11-20T22:00:05", "EURUSD", "USDJPY", step_s=0.25)
    assert desk.reasons() == ("market_closed:EURUSD", "market_closed:USDJPY")
    assert desk.texts()[0] == CLOSED
    reports = len([d for d in desk.decisions if d.state])
    desk.pay("10000", version=2)  # twice the money: more is wanted at once
    desk.go_to("2026-11-22T21:59:59")
    assert len(desk.lines("intended")) == orders
    assert [(r.symbol, r.check, r.value, r.limit) for r in desk.lines("refused")] == [
        ("EURUSD", "schedule", None, None),
        ("USDJPY", "schedule", None, None),
    ]
    assert desk.lines("refused")[0].reason == CLOSED
    assert [d.state for d in desk.decisions if d.state][reports:] == [], "one state for the whole weekend"
    assert (desk.engine.trading, desk.engine.valuation.equity) == ("active", equity + 10_000)
    assert not [r for r in asked(desk) if not isinstance(r, PlaceOrder | ClosePosition)]
    desk.go_to("2026-11-22T22:00:30", step_s=0.25)
    assert desk.reasons() == ("stale_quote:EURUSD", "stale_quote:USDJPY")
    assert len(desk.lines("intended")) == orders, "open, and not a quote yet"
    desk.fill(desk.quote("EURUSD"))
    desk.now_ns += SECOND
    desk.fill(desk.quote("USDJPY"))
    assert [o.symbol for o in desk.since(orders, "intended")] == ["EURUSD", "USDJPY"]
    assert desk.reasons() == ()


def test_each_closing_is_told_once_and_the_next_one_again() -> None:
    hours = replace(EURUSD, schedule=tuple((d * DAY_S, d * DAY_S + 23 * HOUR_S) for d in range(7)))
    desk = HourlyDesk("2026-11-23T22:59:00", hours)
    desk.fill(desk.begin())
    for day in (23, 24, 25):
        desk.go_to(f"2026-11-{day}T23:00:00")
        desk.pay("10000", version=day)  # more is wanted, for the whole hour
        desk.go_to(f"2026-11-{day + 1}T00:00:01")
        desk.fill(desk.quote())
    assert [o.action for o in desk.lines("intended")] == ["open", "increase", "increase", "increase"]
    assert [r.reason[-17:] for r in desk.lines("refused")] == [f"2026-11-{day}T00:00Z" for day in (24, 25, 26)]


def test_quotes_of_a_closed_market_are_listened_to_and_not_traded_on() -> None:
    desk = HourlyDesk("2026-11-21T12:00:00", FX)
    assert not desk.begin().requests
    desk.go_to("2026-11-21T12:01:00", "EURUSD", step_s=1)
    assert not asked(desk)
    assert desk.reasons() == ("market_closed:EURUSD",)


def test_a_quote_from_just_before_the_opening_is_not_one_of_the_open_market() -> None:
    desk = HourlyDesk("2026-11-22T21:59:00", FX)
    desk.begin()
    desk.go_to("2026-11-22T21:59:59", "EURUSD", step_s=1)
    desk.go_to("2026-11-22T22:00:03", step_s=0.25)
    assert not asked(desk)
    assert desk.quote().requests


def test_the_first_quote_of_the_open_market_may_come_in_the_same_moment_as_the_opening() -> None:
    desk = HourlyDesk("2026-11-22T21:59:59", FX)
    desk.begin()
    desk.now_ns = stamp("2026-11-22T22:00:00")
    desk.quote()
    desk.go_to("2026-11-22T22:00:01", step_s=0.25)
    assert [o.action for o in desk.lines("intended")] == ["open"]


def test_a_wish_from_before_the_opening_has_to_persist_anew() -> None:
    desk = HourlyDesk("2026-11-22T21:50:00", FX, pace=replace(QUICK, persistence_s=30))
    desk.begin()
    desk.go_to("2026-11-22T22:00:29", "EURUSD", step_s=1)
    assert not desk.lines("intended")
    desk.go_to("2026-11-22T22:00:32", "EURUSD", step_s=1)
    assert [o.action for o in desk.lines("intended")] == ["open"]


@pytest.mark.parametrize(
    ("yen", "grows"), [(FX_JPY, True), (USDJPY, False)], ids=["closed", "silent, and its hours unknown"]
)
def test_a_closed_symbol_does_not_spoil_the_equity_on_which_an_open_one_grows(yen: SymbolSpec, grows: bool) -> None:
    choices = SymbolChoice("EURUSD", "long", 1.0), SymbolChoice("USDJPY", "follow", 1.0)
    desk = HourlyDesk("2026-11-21T12:00:00", ALWAYS, yen, symbols=choices, base_leverage=1.0)
    desk.account = replace(desk.account, access_rights="CLOSE_ONLY")
    desk.begin(position(1_000_000, symbol_id=2, price=150.0))
    desk.go_to("2026-11-21T12:10:00", "EURUSD", step_s=1)
    desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, access_rights="FULL_ACCESS")))
    desk.go_to("2026-11-21T12:10:10", "EURUSD", step_s=1)
    assert [(o.symbol, o.action) for o in desk.lines("intended")] == ([("EURUSD", "open")] if grows else [])
    assert ("conversion_rate" in {r.check for r in desk.lines("refused")}) is not grows


def asked(desk: Desk) -> list[Request]:
    """Return what was asked, but for the looks that are taken from time to time in an open market."""
    return [r for r in desk.lines("requests") if not isinstance(r, ResolveOrders | AskCashFlow | CheckFeed)]


def spot(desk: Desk, mid_e5: int) -> Decision:
    """Let a spot price arrive that the book does not follow."""
    rows = [(SPOT_BID, 0, 0, mid_e5 - 1, 0), (SPOT_ASK, 0, 0, mid_e5 + 1, 0), (END_SPOT, 0, 0, 0, 0)]
    return desk.hear(ev.MarketDataChanged(desk.now_ns, delta_rows(rows)))


@pytest.mark.parametrize(("spec", "renewals"), [(FX, 0), (EURUSD, 4)], ids=["closed", "hours unknown"])
def test_a_book_left_in_doubt_is_not_renewed_while_its_market_is_closed(spec: SymbolSpec, renewals: int) -> None:
    desk = HourlyDesk("2026-11-20T21:59:00", spec, base_leverage=0.05)
    desk.begin()
    desk.now_ns = stamp("2026-11-20T22:00:00")
    spot(desk, 111_000)
    desk.go_to("2026-11-20T22:01:45", step_s=1)
    assert asked(desk) == [ResubscribeDepth(1)] * renewals
    assert ("book_health:EURUSD" in desk.reasons()) is bool(renewals)


def test_a_loss_halt_in_a_closed_market_waits_and_flattens_when_it_opens() -> None:
    desk = HourlyDesk("2026-11-20T21:59:00", FX)
    desk.fill(desk.begin())
    desk.go_to("2026-11-20T22:00:01", step_s=0.25)  # the trading day turns as the market closes
    desk.now_ns += SECOND
    desk.quote(mid_e5=108_000)  # a last price
    assert desk.engine.trading == "halted"
    assert desk.engine.is_settled is False
    desk.go_to("2026-11-22T22:00:01")
    assert [o.action for o in desk.lines("intended")] == ["open"]
    assert [r.check for r in desk.lines("refused")] == ["daily_loss", "schedule"]
    desk.now_ns += SECOND
    decision = desk.quote(mid_e5=107_000)
    assert [o.action for o in decision.intended] == ["close"]
    desk.fill(decision)
    assert desk.engine.is_settled


def test_a_broken_leverage_limit_waits_for_the_opening_too() -> None:
    desk = HourlyDesk("2026-11-21T12:00:00", FX, leverage_limits=LeverageLimits(1.0, 10))
    desk.begin(position(1_800_000))
    desk.go_to("2026-11-22T22:00:00")
    assert not desk.lines("intended")
    desk.now_ns += SECOND
    assert [o.action for o in desk.quote().intended] == ["reduce"]


def test_a_holiday_closes_an_open_week() -> None:
    thanksgiving = (date(2026, 11, 26) - date(1970, 1, 1)).days
    spec = replace(FX, holidays=(Holiday(thanksgiving, 13 * HOUR_S, 18 * HOUR_S, time_zone="America/New_York"),))
    desk = HourlyDesk("2026-11-26T18:00:00", spec)
    assert not desk.begin().requests
    assert desk.texts() == ("EURUSD is closed for a holiday until 2026-11-26T23:00Z",)
    desk.go_to("2026-11-26T23:00:01")
    assert desk.quote().requests


def test_a_weekend_after_a_holiday_is_one_closing() -> None:
    friday = (date(2026, 12, 25) - date(1970, 1, 1)).days
    desk = HourlyDesk("2026-12-25T12:00:00", replace(FX, holidays=(Holiday(friday, time_zone="UTC"),)))
    desk.begin()
    desk.go_to("2026-12-27T21:59:59")
    assert [r.reason for r in desk.lines("refused")] == ["EURUSD is closed for a holiday until 2026-12-27T22:00Z"]
    assert len(desk.texts()) == 1


@pytest.mark.parametrize("changes", [{"schedule_time_zone": "Mars/Olympus_Mons"}, {"schedule": ()}])
def test_hours_that_are_unknown_leave_everything_to_the_quotes(changes: dict[str, Any]) -> None:
    desk = HourlyDesk("2026-11-21T12:00:00", replace(FX, **changes))
    assert [o.action for o in desk.begin().intended] == ["open"]
    desk.go_to("2026-11-21T12:00:06", step_s=1)
    assert desk.reasons() == ("stale_quote:EURUSD",)


def test_a_changed_schedule_takes_effect_at_once() -> None:
    desk = HourlyDesk("2026-11-21T12:00:00", FX)
    desk.begin()
    desk.hear(desk.loaded(replace(FX, schedule=((0, 7 * DAY_S),))))
    assert desk.reasons() == ()
    desk.now_ns += SECOND
    assert [o.action for o in desk.quote().intended] == ["open"]
    desk.fill(desk.decisions[-1])
    desk.pay("10000", version=2)
    desk.hear(desk.loaded(FX))
    desk.go_to("2026-11-21T12:00:20", "EURUSD", step_s=1)
    assert desk.reasons() == ("market_closed:EURUSD",)
    assert len(desk.lines("intended")) == 1


# -- trading modes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "shrinks", "text"),
    [
        ("CLOSE_ONLY_MODE", True, "the broker lets EURUSD be reduced only (CLOSE_ONLY_MODE)"),
        *(
            (mode, False, f"the broker has disabled trading in EURUSD ({mode})")
            for mode in ("DISABLED_WITHOUT_PENDINGS_EXECUTION", "DISABLED_WITH_PENDINGS_EXECUTION")
        ),
    ],
)
def test_a_trading_mode_is_obeyed_named_and_refused_once(mode: str, shrinks: bool, text: str) -> None:
    restricted = replace(EURUSD, trading_mode=mode)
    flat, short = (HourlyDesk("2026-11-23T12:00:00", restricted) for _ in range(2))
    held: dict[HourlyDesk, tuple[Position, ...]] = {flat: (), short: (position(-900_000),)}
    for desk, positions in held.items():
        desk.begin(*positions)
        assert desk.reasons() == ("trading_mode:EURUSD",)
        assert desk.texts() == (text,)
        desk.go_to("2026-11-23T12:00:30", "EURUSD", step_s=1)
    assert [r.check for r in flat.lines("refused")] == ["schedule"], "once, not every ten seconds"
    assert not flat.lines("intended")
    assert [o.action for o in short.lines("intended")] == (["close"] if shrinks else [])
    flat.hear(flat.loaded(EURUSD))
    assert flat.reasons() == ()
    assert [o.action for o in flat.lines("intended")] == ["open"]


def test_a_short_position_may_shrink_and_not_grow_where_short_selling_is_off() -> None:
    spec = replace(EURUSD, short_selling=False)
    choice = (SymbolChoice("EURUSD", "short", 1.0),)
    desk = HourlyDesk("2026-11-23T12:00:00", spec, symbols=choice)
    desk.begin(position(-900_000))
    desk.go_to("2026-11-23T12:00:30", "EURUSD", step_s=1)
    assert [r.reason for r in desk.lines("refused")] == ["the broker does not allow short selling of this symbol"]
    assert not desk.lines("intended")
    over = HourlyDesk("2026-11-23T12:00:00", spec, symbols=choice, base_leverage=0.5)
    assert [o.action for o in over.begin(position(-900_000)).intended] == ["reduce"]


# -- the venue's own word ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "MARKET_CLOSED",
        *(pytest.param(code, marks=pytest.mark.slow) for code in ("SYMBOL_HAS_HOLIDAY", "TRADING_DISABLED")),
    ],
)
@pytest.mark.parametrize("shape", ["refusal", "rejected execution"])
def test_a_market_that_says_it_is_closed_is_asked_again_with_long_pauses(code: str, shape: str) -> None:
    desk = HourlyDesk("2026-11-23T12:00:00", FX, min_interval_s=0.0)
    decision, sent_ns = desk.begin(), []
    while len(sent_ns) < 7:
        if decision.requests:
            sent_ns.append(desk.now_ns)
            (request,) = decision.requests
            own = request.client_order_id
            refusal: ev.Event = ev.RequestRefused(desk.now_ns, own, code)
            if shape != "refusal":
                refusal = ev.ExecutionReported(desk.now_ns, "rejected", own, error_code=code)
            desk.hear(refusal)
            assert desk.reasons() == ("market_closed:EURUSD",)
            assert code in desk.texts()[0]
        desk.now_ns += SECOND
        decision = desk.quote()
    assert [(b - a) // SECOND for a, b in pairwise(sent_ns)] == [60, 120, 240, 480, 900, 900]


def test_it_counts_as_closed_until_a_quote_comes_after_the_pause() -> None:
    desk = HourlyDesk("2026-11-23T12:00:00", EURUSD)
    (request,) = desk.begin().requests
    desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "MARKET_CLOSED"))
    desk.go_to("2026-11-23T12:00:58", "EURUSD", step_s=1)
    desk.go_to("2026-11-23T13:00:00", step_s=10)
    assert desk.reasons() == ("market_closed:EURUSD",)
    assert len(asked(desk)) == 1
    assert desk.quote().requests
    assert desk.reasons() == ()
    desk.fill(desk.decisions[-1])
    desk.now_ns += 2 * SECOND
    desk.pay("10000", version=2)
    (request,) = desk.quote().requests or asked(desk)[-1:]
    desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "MARKET_CLOSED"))
    assert "13:01:" in desk.texts()[0], "a fill in between: the pause is a minute again"


@pytest.mark.parametrize("seen", [False, True], ids=["first word of it", "after the hours said so"])
def test_a_refusal_at_the_end_of_the_hours_waits_for_the_opening_and_no_longer(seen: bool) -> None:
    desk = HourlyDesk("2026-11-20T21:59:59.900", FX)
    (request,) = desk.begin().requests
    desk.now_ns += SECOND // 5
    if seen:
        desk.hear()
    desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "MARKET_CLOSED"))
    assert desk.texts() == (CLOSED,)
    desk.go_to("2026-11-20T22:03:00", "EURUSD")  # it closed, and still there are quotes
    desk.go_to("2026-11-22T22:00:01")
    assert desk.texts() == ("no fresh quote for EURUSD; it may only be reduced",)
    assert len(asked(desk)) == 1
    assert desk.quote().requests


def test_an_order_that_was_never_sent_is_decided_anew_after_a_second_however_often() -> None:
    desk = HourlyDesk("2026-11-23T12:00:00", FX, min_interval_s=0.0)
    decision, sent_ns = desk.begin(), []
    for _ in range(40):
        if decision.requests:
            sent_ns.append(desk.now_ns)
            (request,) = decision.requests
            desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "NOT_SENT"))
        desk.now_ns += SECOND // 4
        decision = desk.quote()
    assert {(b - a) / SECOND for a, b in pairwise(sent_ns)} == {1.0}
    assert len(sent_ns) == 10


def test_the_same_inputs_give_the_same_decisions_over_a_weekend() -> None:
    def weekend() -> list[bytes]:
        desk = HourlyDesk("2026-11-20T21:59:00", FX)
        desk.fill(desk.begin())
        desk.go_to("2026-11-20T22:00:10", "EURUSD", step_s=1)
        desk.pay("5000", version=2)
        desk.go_to("2026-11-22T22:00:00", step_s=600)
        desk.quote()
        desk.go_to("2026-11-22T22:00:10", "EURUSD", step_s=1)
        return [decision.encode() for decision in desk.decisions]

    first = weekend()
    assert first == weekend()
    assert any(np.frombuffer(d[8:12], np.uint32)[0] for d in first)
