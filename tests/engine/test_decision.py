"""Decisions as bytes: equal ones and no others are equal, and a person can read them."""

from dataclasses import replace

import numpy as np
from engine_desk import Desk

from bot.engine.decision import DECISION_ROW, describe
from bot.engine.rows import decision_rows
from bot.market.feature_table import unknown_features
from bot.sizing.bound import Bound
from bot.sizing.sheet import TARGET_ROW


def test_the_same_events_give_the_same_bytes() -> None:
    def run() -> list[bytes]:
        desk = Desk()
        desk.fill(desk.begin())
        desk.wait(3)
        return [d.encode() for d in desk.decisions]

    assert run() == run()


def test_any_change_of_a_figure_changes_the_bytes() -> None:
    decision = Desk().begin()
    rows = decision.rows.copy()
    assert len(rows) == 0
    desk = Desk(base_leverage=0.05)
    desk.begin()
    quiet = desk.quote()
    rows = quiet.rows.copy()
    rows["obi"] = np.nextafter(rows["obi"], 1)
    assert replace(quiet, rows=rows).encode() != quiet.encode()


def test_a_loud_decision_reads_back_with_its_order_and_reason() -> None:
    described = describe(Desk().begin().encode())
    (order,) = described["intended"]
    assert order["client_order_id"] == "r1-1"
    assert described["requests"][0]["request"] == "PlaceOrder"
    assert described["order_changes"][0]["state"] == "sent"


def test_a_quiet_decision_is_only_its_rows() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    quiet = desk.quote()
    assert quiet.is_quiet
    assert len(quiet.encode()) == 12 + DECISION_ROW.itemsize
    assert not quiet.rows.flags.writeable


def test_rows_hold_the_changed_symbols_and_the_cost_of_the_side_to_leave_by() -> None:
    table = unknown_features(3)
    table["sell_impact_bps"], table["buy_impact_bps"] = [1, 2, 3], [4, 5, 6]
    held, aims = np.array([1.0, -1.0, 0.0]), np.zeros(3, TARGET_ROW)
    aims["goal"], aims["target"], aims["bound"] = [2.0, -2.0, 0.0], [1.5, -1.5, 0.0], [0, Bound.BAND, Bound.CRISIS]
    marks = np.array([1, 1, 1], np.uint8)
    rows = decision_rows(marks, table, held, aims, np.array([[0.5, 0.6, 0.7]]))
    assert not marks.any(), "what has been told is no news any more"
    assert rows["symbol"].tolist() == [0, 1, 2]
    assert rows["impact_bps"].tolist() == [1.0, 5.0, 6.0]
    assert rows["leverage_target"].tolist() == [1.5, -1.5, 0.0]
    assert rows["bound"].tolist() == [0, Bound.BAND, Bound.CRISIS]
    assert rows["factors"][:, 0].tolist() == [0.5, 0.6, 0.7]
    assert np.isnan(rows["factors"][:, 1:]).all()
    some = decision_rows(np.array([0, 1, 0], np.uint8), table, held, aims, np.empty((0, 3)))
    assert some["symbol"].tolist() == [1]
