"""What our own fills teach reaches the evaluator: once a deal, only from orders that take, and only when it changes."""

from dataclasses import replace

import numpy as np
import pytest
from engine_desk import SECOND, Desk

from bot.engine import events as ev
from bot.execution.fill_quality import FillQuality


def quality(desk: Desk) -> FillQuality:
    found = desk.engine.fill_quality
    assert found is not None
    return found


def fill_frac(desk: Desk) -> float:
    assert desk.engine.features is not None
    return float(desk.engine.features.fill_frac[0])


def test_before_the_first_order_nothing_is_known_of_fills() -> None:
    desk = Desk(base_leverage=0.0001)
    desk.begin()
    assert np.isnan(fill_frac(desk))


def test_an_order_that_fills_whole_speaks_for_the_venue() -> None:
    desk = Desk()
    decision = desk.begin()
    desk.now_ns += SECOND // 10
    desk.fill(decision)
    desk.now_ns += SECOND // 10
    desk.quote()
    assert fill_frac(desk) > 0.8, "the prior is 4 of 5"
    assert quality(desk).p50_latency_s()[0] == pytest.approx(0.1)
    assert desk.decisions[-1].rows["fill_frac"][0] == fill_frac(desk)


def test_an_order_that_fills_in_part_speaks_against_it() -> None:
    desk = Desk()
    desk.fill(desk.begin(), share=0.5)
    desk.now_ns += SECOND // 10
    desk.quote()
    assert fill_frac(desk) < 0.8


def after_refusal(code: str) -> Desk:
    desk = Desk()
    (request,) = desk.begin().requests
    desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, code))
    desk.now_ns += SECOND // 10
    desk.quote()
    return desk


def test_a_rejected_order_counts_as_one_that_filled_nothing() -> None:
    assert fill_frac(after_refusal("TRADING_BAD_VOLUME")) < 0.8


def test_an_order_that_never_left_does_not_count() -> None:
    assert np.isnan(fill_frac(after_refusal("NOT_SENT")))


def test_a_deal_that_is_told_twice_is_one() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    accepted, filled = desk.answers(request)
    assert isinstance(filled, ev.ExecutionReported)
    assert filled.order is not None
    part = replace(filled, kind="partially_filled")
    desk.hear(accepted, part, part)
    (order,) = quality(desk)._orders.values()
    assert order.executed_cents == request.volume_cents


def test_mark_outs_fall_due_by_the_clock() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    assert quality(desk).next_due_ns() is not None
    for _ in range(61):
        desk.now_ns += SECOND
        desk.quote()
    assert quality(desk).next_due_ns() is None
    assert quality(desk).summary()["EURUSD"]["realised_60s_bps"] is not None
