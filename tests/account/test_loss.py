"""Loss limits: the New York day, and money paid in or out that is neither profit nor loss."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.loss import LossBreach, LossGuard, trading_day

S = 1_000_000_000
NOON = int(datetime(2024, 3, 5, 12, tzinfo=UTC).timestamp()) * S


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * S


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2024-01-10T21:59:59+00:00", "2024-01-10T22:00:00+00:00"),  # winter, UTC-5
        ("2024-07-10T20:59:59+00:00", "2024-07-10T21:00:00+00:00"),  # summer, UTC-4
        ("2024-03-08T21:59:59+00:00", "2024-03-08T22:00:00+00:00"),  # the Friday before the clocks go forward
        ("2024-03-10T20:59:59+00:00", "2024-03-10T21:00:00+00:00"),  # the Sunday they do
        ("2024-11-03T21:59:59+00:00", "2024-11-03T22:00:00+00:00"),  # the Sunday they go back
    ],
)
def test_the_day_turns_at_five_in_the_afternoon_in_new_york(before: str, after: str) -> None:
    assert trading_day(at(after)) == trading_day(at(before)) + 1
    assert trading_day(at(after) - 1) == trading_day(at(before)), "a nanosecond before is before"


@given(st.integers(0, 3 * 365 * 24))
def test_the_day_never_turns_back_and_lasts_23_to_25_hours(hour: int) -> None:
    start = at("2023-01-01T00:00:00+00:00") + hour * 3600 * S
    assert 0 <= trading_day(start + 3600 * S) - trading_day(start) <= 1
    assert trading_day(start + 25 * 3600 * S) >= trading_day(start) + 1
    assert trading_day(start + 23 * 3600 * S) <= trading_day(start) + 1


def test_a_loss_at_its_limit_is_a_breach_and_just_above_it_none() -> None:
    guard = LossGuard(0.02, 0.5)
    assert guard.check(1000.0, NOON) == ()
    assert guard.check(980.01, NOON + S) == ()
    breach = guard.check(979.99, NOON + 2 * S)
    assert breach == (LossBreach("daily_loss", pytest.approx(0.02001), 0.02),)


def test_yesterdays_loss_is_not_todays_but_the_fall_from_the_peak_stays() -> None:
    guard = LossGuard(0.02, 0.03)
    day = 24 * 3600 * S
    assert guard.check(1000.0, NOON) == ()
    assert guard.check(985.0, NOON + day // 24) == ()
    assert guard.check(985.0, NOON + day) == ()
    assert guard.check(971.0, NOON + day + S) == (), "1.4 % of the day's 985"
    assert guard.check(969.0, NOON + day + 2 * S) == (LossBreach("drawdown", pytest.approx(0.031), 0.03),)


@given(
    st.floats(0.001, 0.5),
    st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(-0.9, 5.0)), min_size=1, max_size=12),
)
def test_deposits_and_withdrawals_change_no_verdict(limit: float, moves: list[tuple[float, float]]) -> None:
    guard, plain = LossGuard(limit, 0.6), LossGuard(limit, 0.6)
    equity, index = 1000.0, 1000.0
    guard.check(equity, NOON)
    plain.check(index, NOON)
    for n, (profit_frac, paid_frac) in enumerate(moves, start=1):
        change = paid_frac * equity
        guard.deposited(change)
        equity = (equity + change) * (1 + profit_frac)
        index *= 1 + profit_frac
        with_money, without = guard.check(equity, NOON + n), plain.check(index, NOON + n)
        if all(abs(breach.value - breach.limit) > 1e-9 for breach in (*with_money, *without)):
            assert [breach.check for breach in with_money] == [breach.check for breach in without]


def test_a_withdrawal_after_a_loss_does_not_make_the_loss_larger() -> None:
    guard = LossGuard(0.2, 0.2)
    guard.check(1000.0, NOON)
    assert guard.check(900.0, NOON + 1) == ()
    guard.deposited(-800.0)
    assert guard.check(100.0, NOON + 2) == ()
    assert guard.check(88.0, NOON + 3) != ()


def test_two_payments_between_two_looks_count_as_one() -> None:
    guard = LossGuard(0.02, 0.02)
    guard.check(1000.0, NOON)
    guard.deposited(500.0)
    guard.deposited(-1000.0)
    assert guard.check(500.0, NOON + 1) == ()
    assert guard.check(489.0, NOON + 2) != ()


def test_a_payment_before_the_first_look_is_part_of_it() -> None:
    guard = LossGuard(0.02, 0.02)
    guard.deposited(500.0)
    assert guard.check(500.0, NOON) == ()


def test_an_unknown_equity_breaks_nothing_and_is_not_remembered() -> None:
    guard = LossGuard(0.02, 0.02)
    assert guard.check(math.nan, NOON) == ()
    assert guard.check(1000.0, NOON) == ()
    assert guard.check(math.nan, NOON) == ()
    assert guard.check(975.0, NOON) != ()


def test_nothing_left_is_a_total_loss() -> None:
    guard = LossGuard(0.02, 0.02)
    assert guard.check(-5.0, NOON)[0] == LossBreach("daily_loss", 1.0, 0.02)


def test_paying_in_after_everything_was_lost_starts_from_what_was_paid() -> None:
    guard = LossGuard(0.5, 0.5)
    guard.check(100.0, NOON)
    guard.check(0.0, NOON + 1)
    guard.deposited(100.0)
    assert guard.check(100.0, NOON + 2) != (), "of 200 put in, half is gone"
