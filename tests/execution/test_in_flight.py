"""Orders in flight: every pair of states, and when a symbol is busy."""

import pytest

from bot.execution.in_flight import FINAL, TRANSITIONS, OrdersInFlight, OwnOrder

S = 1_000_000_000
# Rows: from; columns: to. x = allowed. The venue never takes a final word back; `unknown` is left by its word alone.
COLUMNS = "sent accepted partially_filled filled replaced cancelled expired rejected unknown resolved".split()  # noqa: SIM905
TABLE = """
sent             . x x x . x x x x .
accepted         . . x x x x x x x .
partially_filled . . x x x x x x x .
replaced         . . x x x x x x x .
unknown          . x x x x x x x . x
filled           . . . . . . . . . .
cancelled        . . . . . . . . . .
expired          . . . . . . . . . .
rejected         . . . . . . . . . .
resolved         . . . . . . . . . .
"""
ALLOWED = {
    (row.split()[0], to): mark == "x"
    for row in TABLE.strip().splitlines()
    for to, mark in zip(COLUMNS, row.split()[1:], strict=True)
}


def order(client_order_id: str = "a", *, state: str = "sent", symbol: int = 0, sent_ns: int = 0) -> OwnOrder:
    return OwnOrder(client_order_id, symbol, 11, 100, None, sent_ns, True, state)


@pytest.mark.parametrize(("before", "after"), ALLOWED, ids=lambda state: state)
def test_an_order_moves_as_the_table_says(before: str, after: str) -> None:
    flight, moving = OrdersInFlight(), order(state=before)
    flight.add(moving)
    assert flight.move(moving, after) == ALLOWED[before, after]
    assert moving.state == (after if ALLOWED[before, after] else before)
    if ALLOWED[before, after]:
        assert flight.busy(0, 0) != moving.is_done


def test_a_state_without_a_way_out_is_final_and_no_other() -> None:
    assert {state for state in COLUMNS if not any(ALLOWED[state, to] for to in COLUMNS)} == FINAL
    assert set(TRANSITIONS) == set(COLUMNS) - FINAL


def test_a_resting_order_leaves_its_symbol_free_unless_its_outcome_is_unknown() -> None:
    flight, resting = OrdersInFlight(), order()
    resting.limit_price = 1.1
    flight.add(resting)
    assert not flight.busy(0, 0), "not even while it is on its way"
    assert not resting.is_working
    flight.move(resting, "accepted")
    assert resting.is_working and not flight.busy(0, 0)
    flight.move(resting, "unknown")
    assert flight.busy(0, 0) and not resting.is_working


def test_an_order_is_found_by_its_client_id_or_its_venue_id_until_it_is_done() -> None:
    flight, first, second = OrdersInFlight(), order("a", sent_ns=2), order("b", sent_ns=1)
    flight.add(first)
    flight.add(second)
    second.order_id = 7
    assert flight.find("a", None) is first
    assert flight.find(None, 7) is flight.find("gone", 7) is second
    assert flight.find(None, None) is flight.find("gone", 8) is flight.find(None, 0) is None
    assert flight.all() == [second, first]
    flight.move(second, "filled")
    assert flight.find("b", 7) is None


def test_a_symbol_is_busy_while_an_order_is_open_and_while_it_settles() -> None:
    flight, open_order = OrdersInFlight(), order(symbol=3)
    flight.add(open_order)
    assert (flight.busy(3, 0), flight.busy(2, 0)) == (True, False)
    flight.move(open_order, "unknown")
    assert flight.busy(3, 0)
    flight.move(open_order, "resolved")
    flight.settle(3, 5 * S)
    assert [flight.busy(3, t * S) for t in (0, 4, 5)] == [True, True, False]
