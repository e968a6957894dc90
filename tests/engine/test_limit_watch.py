"""Refusals, slippage, margin level, clock, disk and a person's word: each stops growth, and ends by its own rule."""

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import SECOND, Desk

from bot.engine.events import CommandGiven, ExecutionReported, HostChecked, RequestRefused
from bot.engine.limit_watch import PAUSE_S
from bot.execution.requests import ClosePosition, PlaceOrder


def command(desk: Desk, name: str, cause: str = "by_hand", text: str = "") -> None:
    desk.hear(CommandGiven(desk.now_ns, name, cause, text))


def holding(**changes: object) -> Desk:
    """A desk that holds its 2x EURUSD."""
    desk = Desk(**{"balance": "10000", **changes})  # type: ignore[arg-type]
    desk.fill(desk.begin())
    assert desk.held == pytest.approx(2.0, rel=0.01)
    return desk


def fall(desk: Desk) -> None:
    """Let the price fall by so much that 2.4 % of equity are lost."""
    desk.now_ns += SECOND
    desk.quote(mid_e5=108_700)


def causes(desk: Desk) -> list[str]:
    return [cause.code for cause in desk.engine._guard.states.causes]


# -- a person's word --------------------------------------------------------------------------------------------------


def test_halt_lets_nothing_grow_and_resume_lets_it_again() -> None:
    desk = Desk()
    desk.engine.receive(CommandGiven(desk.now_ns, "halt", text="going to lunch"))
    assert desk.begin().requests == ()
    assert desk.engine.trading == "halted"
    refusal = desk.lines("refused")[-1]
    assert (refusal.check, refusal.symbol) == ("halted", "EURUSD")
    assert "microlev resume" in refusal.reason and "going to lunch" in refusal.reason
    assert [cause.note for cause in desk.engine.causes] == ["going to lunch"]
    assert "by_hand" in desk.reasons()
    command(desk, "resume")
    assert [type(r) for r in desk.decisions[-1].requests] == [PlaceOrder]
    assert "by_hand" not in desk.reasons()


def test_a_halt_keeps_what_is_held_and_flatten_closes_it() -> None:
    desk = holding()
    command(desk, "halt")
    desk.wait(5)
    assert desk.held == pytest.approx(2.0, rel=0.01)
    desk.quote()
    command(desk, "flatten")
    [close] = [r for d in desk.decisions[-2:] for r in d.requests if isinstance(r, ClosePosition)]
    assert "; everything is closed: halted by hand" in desk.lines("intended")[-1].reason
    desk.hear(*desk.answers(close))
    assert desk.held == 0.0 and desk.engine.is_settled
    desk.quote()
    assert desk.wait(3).requests == (), "and stays flat"


def test_the_stop_file_s_halt_ends_only_with_the_file() -> None:
    desk = Desk()
    desk.begin()
    command(desk, "halt", "stop_file")
    command(desk, "halt")
    command(desk, "resume")
    assert causes(desk) == ["stop_file"]
    command(desk, "resume", "stop_file")
    assert causes(desk) == []


def test_resume_trades_again_what_somebody_else_had_closed() -> None:
    desk = holding()
    [held] = desk.engine.portfolio.own_positions(1)
    desk.engine._bookkeeping.hands_off.add(1)
    desk.hear()
    command(desk, "resume")
    assert not desk.engine._bookkeeping.hands_off and held.symbol_id == 1


# -- loss -------------------------------------------------------------------------------------------------------------


def test_a_drawdown_waits_for_a_person_and_then_counts_anew() -> None:
    desk = holding(max_daily_loss_frac=0.9, max_drawdown_frac=0.02, flatten_on_loss=False)
    fall(desk)
    assert causes(desk) == ["drawdown"]
    assert [r.check for r in desk.lines("refused")] == ["drawdown"]
    desk.now_ns += 3 * 86_400 * SECOND
    desk.quote(mid_e5=108_700)
    assert causes(desk) == ["drawdown"], "days do not heal it"
    command(desk, "resume")
    desk.quote(mid_e5=108_700)
    assert causes(desk) == [] and desk.engine.trading == "active"


def test_a_day_s_loss_ends_with_the_trading_day() -> None:
    desk = holding(max_daily_loss_frac=0.02, max_drawdown_frac=0.9, flatten_on_loss=False)
    fall(desk)
    [cause] = desk.engine._guard.states.causes
    assert (cause.code, cause.level, cause.by_limit) == ("daily_loss", "halted", True)
    assert cause.limit == 0.02 and cause.value is not None and f"{cause.value:.2%}" in cause.text
    assert cause.until_ns is not None and 0 < cause.until_ns - desk.now_ns <= 25 * 3600 * SECOND
    desk.now_ns = cause.until_ns - SECOND
    desk.quote(mid_e5=108_700)
    assert desk.engine.trading == "halted"
    desk.now_ns += 2 * SECOND
    desk.quote(mid_e5=108_700)
    assert desk.engine.trading == "active"


def test_both_losses_are_told_and_the_day_s_end_ends_one() -> None:
    desk = holding(max_daily_loss_frac=0.02, max_drawdown_frac=0.02, flatten_on_loss=False)
    fall(desk)
    assert causes(desk) == ["daily_loss", "drawdown"]
    assert [r.check for r in desk.lines("refused")] == ["daily_loss", "drawdown"]


# -- the venue --------------------------------------------------------------------------------------------------------


def refuse(desk: Desk, code: str) -> None:
    """Let orders be refused until one has been."""
    for _ in range(200):
        placed = [r for r in desk.decisions[-1].requests if isinstance(r, PlaceOrder)]
        if placed:
            desk.hear(RequestRefused(desk.now_ns, placed[0].client_order_id, code))
            return
        desk.now_ns += SECOND
        desk.quote()
    raise AssertionError("nothing was sent")


def test_a_venue_that_refuses_half_of_our_orders_gets_no_more_for_five_minutes() -> None:
    desk = Desk()
    desk.begin()
    for _ in range(9):
        refuse(desk, "MAX_EXPOSURE_REACHED")
    assert causes(desk) == [], "too few to judge by"
    refuse(desk, "MAX_EXPOSURE_REACHED")
    assert causes(desk) == ["reject_rate"] and desk.engine.trading == "reducing"
    text = desk.engine._guard.states.text
    assert [(c.value, c.limit, c.note) for c in desk.engine.causes] == [(1.0, 0.5, "MAX_EXPOSURE_REACHED")]
    assert "10 of the last 10" in text and "MAX_EXPOSURE_REACHED" in text and "max_reject_frac" in text
    for _ in range(PAUSE_S - 2):
        desk.now_ns += SECOND
        assert not any(isinstance(r, PlaceOrder) for r in desk.quote().requests)
    for _ in range(3):
        desk.now_ns += SECOND
        desk.quote()
    assert causes(desk) == []


@pytest.mark.parametrize("code", ["NOT_SENT", "MARKET_CLOSED", "CANT_ROUTE_REQUEST"])
def test_what_says_nothing_about_the_order_does_not_count(code: str) -> None:
    desk = Desk()
    watch = desk.engine._guard.limits
    desk.begin()
    [change] = [c for c in desk.lines("order_changes") if c.state == "sent"]
    watch.ended([replace(change, state="rejected", error_code=code)] * 50, desk.now_ns)
    late = replace(change, order=replace(change.order, action="amend"), state="rejected", error_code="NO_QUOTES")
    watch.ended([late] * 50, desk.now_ns)
    assert causes(desk) == []
    watch.ended([replace(change, state="rejected", error_code="NO_QUOTES")] * 10, desk.now_ns)
    assert causes(desk) == ["reject_rate"], "the test can fail"


@pytest.mark.parametrize(("excess", "held_back"), [(4.9, False), (5.1, True)])
def test_slippage_beyond_prediction_is_judged_by_the_mean_of_the_last_orders(excess: float, held_back: bool) -> None:
    desk = Desk()
    watch = desk.engine._guard.limits
    watch.filled([excess] * 4, desk.now_ns)
    assert causes(desk) == []
    watch.filled([float("nan"), excess], desk.now_ns)
    assert causes(desk) == (["slippage"] if held_back else [])


def test_what_a_fill_cost_beyond_its_prediction_reaches_the_watch() -> None:
    """Five orders filled far from the mid they were decided at."""
    desk = Desk(min_interval_s=0.0)
    decision = desk.begin()
    for n in range(5):
        assert causes(desk) == []
        [request] = [r for r in decision.requests if isinstance(r, PlaceOrder)]
        accepted, filled = desk.answers(request)
        assert isinstance(filled, ExecutionReported) and filled.deal is not None
        dear = replace(filled.deal, price=filled.deal.price * 1.001)
        desk.hear(accepted, replace(filled, deal=dear))
        desk.now_ns += SECOND
        decision = desk.pay("5000", 10 + n)
    assert causes(desk) == ["slippage"]
    assert desk.engine.trading == "reducing"


# -- account and machine ----------------------------------------------------------------------------------------------


def test_a_margin_level_below_its_limit_lets_nothing_grow_until_it_has_recovered() -> None:
    desk = Desk()
    watch, now = desk.engine._guard.limits, desk.now_ns
    watch.margin_level(1.6, now)
    assert causes(desk) == []
    watch.margin_level(1.49, now)
    [cause] = desk.engine._guard.states.causes
    assert (cause.code, cause.level) == ("margin_level", "reducing") and "1.49" in cause.text
    assert (cause.value, cause.limit) == (1.49, 1.5)
    watch.margin_level(1.5, now)
    watch.margin_level(1.57, now)
    assert causes(desk) == ["margin_level"], "not at once with the next quote"
    watch.margin_level(1.58, now)
    assert causes(desk) == []
    watch.margin_level(1.2, now)
    watch.margin_level(float("nan"), now)
    assert causes(desk) == [], "no margin is used any more"


def test_a_full_disk_and_a_stepped_clock_let_nothing_grow() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(HostChecked(desk.now_ns, 49_000_000, 0.0))
    assert causes(desk) == ["disk_full"] and "49 MB" in desk.engine._guard.states.text
    assert [(cause.value, cause.limit) for cause in desk.engine.causes] == [(49, 50)]
    desk.hear(HostChecked(desk.now_ns, None, 0.0))
    assert causes(desk) == ["disk_full"], "what is unknown is no room"
    desk.hear(HostChecked(desk.now_ns, 51_000_000, -5.1))
    assert causes(desk) == ["clock_step"] and "back by 5.1 s" in desk.engine._guard.states.text
    assert [(cause.value, cause.limit) for cause in desk.engine.causes] == [(-5.1, 5)]
    desk.hear(HostChecked(desk.now_ns, None, 0.0))
    assert causes(desk) == ["clock_step"], "that it stands right now does not undo the step"
    command(desk, "resume")
    assert causes(desk) == []


def test_a_step_that_a_person_has_gone_on_from_is_no_news_and_another_one_is() -> None:
    desk = Desk()
    desk.begin()
    desk.hear(HostChecked(desk.now_ns, 10**12, -5.1))
    assert causes(desk) == ["clock_step"]
    command(desk, "resume")
    desk.hear(HostChecked(desk.now_ns, 10**11, -5.1))  # it is the disk that was news
    assert causes(desk) == []
    desk.hear(HostChecked(desk.now_ns, 10**11, -10.2))
    assert causes(desk) == ["clock_step"]


def test_transfers_are_told() -> None:
    desk = holding()
    desk.pay("500", 2)
    desk.hear()
    [notice] = desk.lines("notices")
    assert (notice.code, notice.symbol) == ("transfer", None) and str(Decimal(500)) in notice.text
