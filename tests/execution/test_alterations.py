"""Amends and cancels on their way: every pair of states, and one an order."""

import pytest

from bot.execution.alterations import FINAL, TRANSITIONS, Alteration, Alterations
from bot.execution.requests import CancelOrder

COLUMNS = "sent replaced cancelled rejected unknown resolved".split()  # noqa: SIM905
TABLE = """
sent       . x x x x x
unknown    . x x x . x
replaced   . . . . . .
cancelled  . . . . . .
rejected   . . . . . .
resolved   . . . . . .
"""
ALLOWED = {
    (row.split()[0], to): mark == "x"
    for row in TABLE.strip().splitlines()
    for to, mark in zip(COLUMNS, row.split()[1:], strict=True)
}


def alteration(own: str = "a-2", target: str = "a-1", *, state: str = "sent", sent_ns: int = 0) -> Alteration:
    return Alteration(own, target, CancelOrder(own, 11, 7), sent_ns, state)


@pytest.mark.parametrize(("before", "after"), ALLOWED, ids=lambda state: state)
def test_an_alteration_moves_as_the_table_says(before: str, after: str) -> None:
    under_way, moving = Alterations(), alteration(state=before)
    under_way.add(moving)
    assert under_way.move(moving, after) == ALLOWED[before, after]
    assert moving.state == (after if ALLOWED[before, after] else before)
    if ALLOWED[before, after]:
        assert (under_way.of("a-1") is None) == moving.is_done


def test_a_state_without_a_way_out_is_final_and_no_other() -> None:
    assert {state for state in COLUMNS if not any(ALLOWED[state, to] for to in COLUMNS)} == FINAL
    assert set(TRANSITIONS) == set(COLUMNS) - FINAL


def test_an_order_is_altered_once_at_a_time() -> None:
    under_way = Alterations()
    under_way.add(alteration())
    with pytest.raises(ValueError, match="a-1 is being altered already"):
        under_way.add(alteration("a-3"))
    under_way.add(alteration("b-2", "b-1", sent_ns=-1))
    assert [a.client_order_id for a in under_way.all()] == ["b-2", "a-2"]
    assert under_way.find("a-2") is under_way.of("a-1")
    assert under_way.find(None) is under_way.find("a-1") is under_way.of("a-2") is None
