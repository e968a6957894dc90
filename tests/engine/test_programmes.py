"""Changes in slices: they add up, keep their pace and every limit, end where the wish does, and yield to danger."""

from dataclasses import replace
from itertools import pairwise

import pytest
from engine_desk import LIMITS, QUICK, SECOND, position
from hypothesis import given, settings
from hypothesis import strategies as st
from slicing_desk import SLICED, SlicingDesk

from bot.engine import events as ev
from bot.execution.requests import ClosePosition, PlaceOrder

CALM = replace(QUICK, heeds_crisis=False)
WHOLE = 454_500_000  # 1x of five million at 1.1, on the volume grid, within a step or two


def volumes(desk: SlicingDesk) -> list[int]:
    return [o.volume_cents if o.side == "buy" else -o.volume_cents for o in desk.lines("intended")]


def sent_ns(desk: SlicingDesk) -> list[int]:
    return [d.now_ns for d in desk.decisions for o in d.intended]


def test_growth_goes_out_in_slices_that_add_up_and_say_so() -> None:
    desk = SlicingDesk()
    desk.trade(150, desk.warm())
    orders = desk.lines("intended")
    assert len(orders) >= 3
    assert desk.held_cents == sum(volumes(desk)) == pytest.approx(WHOLE, abs=400_000)
    assert orders[0].action == "open" and {o.action for o in orders[1:]} == {"increase"}
    assert "; slice 1 of about " in orders[0].reason and orders[0].reason.endswith(" s apart")
    for i, order in enumerate(orders):
        assert f"; slice {i + 1} of " in order.reason
        assert order.leverage_target == pytest.approx(1.0, abs=0.01), "the whole change stays visible"
    after = [o.margin_after for o in orders]
    assert after == sorted(after) and after[0] < 0.5 * after[-1], "the figures are those after the slice"


def test_slices_keep_their_pace() -> None:
    desk = SlicingDesk()
    desk.trade(150, desk.warm())
    times = sent_ns(desk)
    # Half of 30 orders a minute, for one symbol.
    assert all(b - a >= 4 * SECOND for a, b in pairwise(times[:-1]))
    assert times[-1] - times[0] <= 125 * SECOND


def test_the_interval_between_orders_is_kept_where_it_is_longer() -> None:
    desk = SlicingDesk(min_interval_s=9.0)
    desk.trade(100, desk.warm())
    times = sent_ns(desk)
    assert len(times) >= 3
    assert all(b - a >= 9 * SECOND for a, b in pairwise(times))


def test_a_reduction_goes_out_in_fewer_slices_than_growth() -> None:
    growing, shrinking = SlicingDesk(), SlicingDesk()
    growing.trade(150, growing.warm())
    shrinking.dial.at[0] = 0.2
    shrinking.trade(150, shrinking.warm(position(WHOLE)))
    assert {o.action for o in shrinking.lines("intended")} == {"reduce"}
    assert 2 <= len(shrinking.lines("intended")) < len(growing.lines("intended"))
    assert shrinking.held == pytest.approx(0.2, abs=0.01)


def test_without_slicing_or_with_a_figure_that_nobody_knows_it_is_one_order() -> None:
    for desk in (SlicingDesk(style=replace(SLICED, is_sliced=False)), SlicingDesk(is_lambda_known=False)):
        desk.trade(20, desk.warm())
        (order,) = desk.lines("intended")
        assert order.volume_cents == pytest.approx(WHOLE, abs=400_000)
        assert "slice" not in order.reason


def test_what_the_best_level_holds_is_one_order() -> None:
    desk = SlicingDesk(balance="500000")
    desk.trade(20, desk.warm())
    assert len(desk.lines("intended")) == 1


def test_a_broken_limit_ends_the_programme_and_is_healed_by_one_order() -> None:
    desk = SlicingDesk()
    desk.dial.at[0] = 0.1
    desk.trade(150, desk.warm(position(WHOLE)))
    begun = len(desk.lines("intended"))
    assert begun >= 2
    desk.dial.at[0] = 1.0
    decision = desk.tick()
    assert "slice 1 of about" in decision.intended[0].reason
    desk.fill(decision)
    held = desk.held_cents
    # The owner takes nearly all of the money out: what is held is now far above the limit of 8.
    desk.pay("-4990000", 9)
    forced = [o for d in desk.decisions[-2:] for o in d.intended] or list(desk.tick().intended)
    assert forced and forced[-1].side == "sell" and "slice" not in forced[-1].reason
    assert forced[-1].volume_cents >= 0.8 * held


def test_a_smaller_wish_on_the_way_ends_the_programme_there() -> None:
    desk = SlicingDesk(pace=replace(CALM, band_frac=0.05))
    desk.trade(13, desk.warm())
    assert 0.05 < desk.held < 0.3
    desk.dial.at[0] = 0.3
    desk.trade(120)
    assert desk.held == pytest.approx(0.3, abs=0.005), "the rest is carried out although it lies within the band"
    assert all(o.side == "buy" for o in desk.lines("intended"))


def test_a_wish_that_turns_back_stops_growth_at_once_and_reduces() -> None:
    desk = SlicingDesk()
    desk.trade(13, desk.warm())
    held, orders = desk.held, len(desk.lines("intended"))
    desk.dial.at[0] = 0.0
    decision = desk.tick()
    assert decision.intended[0].side == "sell", "nothing waits for the next slice of growth"
    desk.trade(60, decision)
    assert desk.held == 0
    assert all(o.side == "sell" for o in desk.lines("intended")[orders:])
    assert held > 0


def test_the_rest_of_a_programme_is_carried_out_within_the_band() -> None:
    desk = SlicingDesk(pace=replace(CALM, band_frac=0.25))
    desk.trade(150, desk.warm())
    assert len(desk.lines("intended")) >= 3
    assert desk.held == pytest.approx(0.75, abs=0.01), "the edge of the band"


def test_growth_in_slices_keeps_the_rate_limit() -> None:
    desk = SlicingDesk(pace=replace(CALM, max_increase_frac_per_min=0.5, band_frac=0.05))
    desk.trade(300, desk.warm())
    placed = [(d.now_ns, o.volume_cents) for d in desk.decisions for o in d.intended]
    assert len(placed) > 4
    for i, (start, _) in enumerate(placed):
        for end in range(i, len(placed)):
            grown = sum(volume for _, volume in placed[i : end + 1]) / WHOLE
            assert grown <= 0.5 * (placed[end][0] - start) / (60 * SECOND) + 0.51
    assert desk.held > 0.9, "and it gets there"


def test_the_share_of_a_slice_that_did_not_fill_is_carried_out_too() -> None:
    desk = SlicingDesk(pace=replace(CALM, band_frac=0.25))
    desk.trade(150, desk.warm(), share=0.5)
    desk.trade(60)
    assert desk.held == pytest.approx(0.75, abs=0.01)


def test_an_order_of_unknown_outcome_ends_the_programme_and_the_next_is_made_of_the_truth() -> None:
    desk = SlicingDesk()
    first = desk.warm()
    desk.fill(first)
    (request,) = first.requests
    assert isinstance(request, PlaceOrder)
    held = desk.held_cents
    lost = next(d for d in iter(desk.tick, None) if d.intended)  # the second slice is never answered
    for _ in range(12):
        desk.tick()
    assert lost.intended[0].reason.split("; ")[-1].startswith("slice 2 of about")
    assert desk.reasons() == ("unknown_order:EURUSD",)
    orders = len(desk.lines("intended"))
    kept = desk.engine.portfolio.position(next(p.position_id for p in desk.engine.portfolio.positions()))
    assert kept is not None
    for _ in range(2):  # looked for twice, `settle_s` apart
        desk.answer_history(positions=(kept,))
        for _ in range(4):
            desk.tick()
    while len(desk.lines("intended")) == orders:
        desk.tick()
        assert desk.now_ns < lost.now_ns + 60 * SECOND
    order = desk.lines("intended")[orders]
    assert "slice 1 of about" in order.reason
    assert desk.held_cents == held


def test_a_lost_connection_ends_the_programme() -> None:
    desk = SlicingDesk()
    desk.fill(desk.warm())
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    positions = tuple(desk.engine.portfolio.positions())
    desk.hear(ev.Reconciled(desk.now_ns, positions, ()))
    desk.tick()
    decision = desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    while not decision.intended:
        decision = desk.tick()
    assert "slice 1 of about" in decision.intended[0].reason


def test_a_symbol_that_somebody_else_has_touched_gets_no_further_slice() -> None:
    desk = SlicingDesk()
    desk.trade(6, desk.warm())
    (held,) = desk.engine.portfolio.positions()
    smaller = replace(held, volume_cents=held.volume_cents - 100_000)
    desk.hear(ev.Reconciled(desk.now_ns, (smaller,), ()))
    orders = len(desk.lines("intended"))
    desk.trade(60)
    assert len(desk.lines("intended")) == orders
    assert desk.reasons() == ("closed_by_hand:EURUSD",)


def test_two_programmes_together_stay_below_the_orders_of_a_minute() -> None:
    limits = replace(LIMITS, max_orders_per_minute=12)
    desk = SlicingDesk("EURUSD", "USDJPY", risk_limits=limits, pace=replace(CALM, band_frac=0.02))
    desk.trade(180, desk.warm())
    times = sent_ns(desk)
    assert len(times) > 8
    for i, time in enumerate(times):
        assert len([t for t in times[i:] if t - time < 60 * SECOND]) <= 12
    assert {o.symbol for o in desk.lines("intended")} == {"EURUSD", "USDJPY"}
    assert not desk.lines("refused")


def test_flattening_waits_for_no_schedule() -> None:
    desk = SlicingDesk(flatten_on_stop=True)
    desk.trade(30, desk.warm())
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    while not decision.intended:
        decision = desk.tick(0.25)
    (order,) = decision.intended
    (request,) = decision.requests
    assert isinstance(request, ClosePosition) and order.action == "close"
    assert "slice" not in order.reason


@st.composite
def _interruptions(draw: st.DrawFn) -> list[tuple[str, float]]:
    kinds = ("fill", "fill", "fill", "part", "reject", "dial", "wait", "thin")
    return draw(st.lists(st.tuples(st.sampled_from(kinds), st.floats(0.05, 1.0)), min_size=5, max_size=25))


@settings(max_examples=25, deadline=None)
@given(steps=_interruptions(), first=st.sampled_from([0.3, 0.7, 1.0]))
def test_no_interruption_makes_a_change_overshoot_or_cross_a_limit(
    steps: list[tuple[str, float]], first: float
) -> None:
    limits = replace(LIMITS, max_symbol_leverage=0.6)
    desk = SlicingDesk(risk_limits=limits, pace=replace(CALM, band_frac=0.01))
    desk.dial.at[0] = first
    decision = desk.warm()
    for kind, share in steps:
        if kind == "dial":
            desk.dial.at[0] = share
        goal, held = 0.99 * desk.dial.at[0], desk.held
        for request, order in zip(decision.requests, decision.intended, strict=True):
            assert isinstance(request, PlaceOrder | ClosePosition)
            signed = order.volume_cents if order.side == "buy" else -order.volume_cents
            if kind == "reject":
                desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "TRADING_BAD_VOLUME"))
                continue
            wanted = float(desk.engine.targets.goal[0])  # type: ignore[union-attr]
            desk.fill(decision, share if kind == "part" else 1.0)
            if kind != "dial":
                assert desk.held <= 0.6 * 1.001, "the limit of the config"
                if signed > 0:
                    assert held <= desk.held <= max(wanted, held) + 0.001
                else:
                    assert min(wanted, held) - 0.001 <= desk.held <= held
        assert goal >= 0
        decision = desk.tick(1 + 4 * share, 0.5 if kind == "thin" else 1.0)
    # Left alone it gets there, in one direction, and then nothing more is sent.
    before = desk.held
    began = len(desk.lines("intended"))
    for _ in range(60):
        desk.fill(decision)
        decision = desk.tick(5)
    goal = min(desk.dial.at[0], 0.6)
    assert desk.held == pytest.approx(goal, abs=0.025)
    late = {o.side for o in desk.lines("intended")[began:]}
    assert len(late) <= 1, (before, goal)
    quiet = len(desk.lines("intended"))
    for _ in range(10):
        desk.fill(decision)
        decision = desk.tick(5)
    assert len(desk.lines("intended")) == quiet
