"""What others do to the account is told once, with figures."""

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import Desk

from bot.account.position import Deal
from bot.engine import events as ev
from bot.execution.orders import OrderSnapshot


def told(desk: Desk) -> list[tuple[str, str | None, str]]:
    desk.hear()
    return [(n.code, n.symbol, n.text) for n in desk.lines("notices")]


def test_a_swap_is_told_with_what_it_comes_to() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    [held] = desk.engine.portfolio.positions()
    for swap in ("-1.20", "-1.20", "-0.70"):
        desk.hear(ev.ExecutionReported(desk.now_ns, "swap", position=replace(held, swap=Decimal(swap))))
    what = f"on position {held.position_id}"
    assert told(desk) == [
        ("swap", "EURUSD", f"1.20 charged {what}, -1.20 in all"),
        ("swap", "EURUSD", f"0.50 paid {what}, -0.70 in all"),
    ]


def test_what_others_trade_is_told_and_what_we_trade_is_not() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    [held] = desk.engine.portfolio.positions()
    assert told(desk) == []
    theirs = Deal(900, 77, 88, 1, 250_000, 1.1001, Decimal(0), desk.now_ns)
    closed = Deal(901, 78, held.position_id, 1, -held.volume_cents, 1.0999, Decimal(0), desk.now_ns, held.volume_cents)
    by_stop_out = OrderSnapshot(78, 1, -held.volume_cents, held.volume_cents, "market", "filled", is_stop_out=True)
    desk.hear(
        ev.ExecutionReported(desk.now_ns, "filled", None, OrderSnapshot(77, 1, 250_000, 0, "market", "filled"), theirs)
    )
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, by_stop_out, closed))
    units = held.volume_cents / 100
    assert told(desk) == [
        ("manual", "EURUSD", "somebody else bought 2500 units at 1.1001, position 88 that is not ours"),
        (
            "stop_out",
            "EURUSD",
            f"the broker's stop-out sold {units:g} units at 1.0999, position {held.position_id} of ours",
        ),
    ]


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({"leverage": 200.0}, ("leverage", None, "the broker changed it from 1:500 to 1:200")),
        ({"access_rights": "CLOSE_ONLY"}, ("access_rights", None, "they were FULL_ACCESS, now CLOSE_ONLY")),
        ({"margin_calculation": "SUM"}, ("margin_calculation", None, "margin of both sides was MAX, now SUM")),
        ({"balance": Decimal(9_999)}, None),
    ],
)
def test_a_changed_setting_of_the_account_is_told_once(change: dict[str, object], notice: object) -> None:
    desk = Desk()
    desk.begin()
    changed = replace(desk.account, **change)  # type: ignore[arg-type]
    desk.hear(ev.AccountLoaded(desk.now_ns, changed))
    desk.hear(ev.AccountLoaded(desk.now_ns, changed))
    assert told(desk) == ([] if notice is None else [notice])
