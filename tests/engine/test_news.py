"""What others do to the account is told once, with figures."""

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import Desk

from bot.engine import events as ev


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
