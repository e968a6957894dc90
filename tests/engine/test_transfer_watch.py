"""Money paid in or out while the link was down, or the bot not running, is neither profit nor loss."""

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import SECOND, Desk

from bot.account.position import Deal
from bot.engine import events as ev
from bot.execution.requests import AskCashFlow, ResolveOrders
from bot.journal.inputs import decode_inputs, encode_inputs


def holding(**changes: object) -> Desk:
    desk = Desk(max_daily_loss_frac=0.05, max_drawdown_frac=0.05, flatten_on_loss=False, **changes)  # type: ignore[arg-type]
    desk.fill(desk.begin())
    return desk


def away(desk: Desk, balance: str, version: int, gone_s: float = 30) -> AskCashFlow:
    """Lose the link, let the broker's balance change, come back; return what was asked."""
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.now_ns += round(gone_s * SECOND)
    desk.account = replace(desk.account, balance=Decimal(balance), balance_version=version)
    positions = tuple(desk.engine.portfolio.positions())
    decision = desk.begin(*positions)
    [question] = [r for r in decision.requests if isinstance(r, AskCashFlow)]
    return question


def stated(desk: Desk, *changes: tuple[str, int, int], before: str = "10000") -> ev.CashFlowStated:
    """The broker's answer: (delta, balance version, when in ns), and the balance before the first of them."""
    balance, told = Decimal(before), []
    for delta, version, changed_ns in changes:
        balance += Decimal(delta)
        told.append(ev.CashChange(Decimal(delta), balance, version, changed_ns))
    return ev.CashFlowStated(desk.now_ns, 0, tuple(told))


def trading_after(desk: Desk, seconds: float) -> str:
    desk.now_ns += round(seconds * SECOND)
    desk.quote()
    return desk.engine.trading


def test_a_withdrawal_made_while_the_link_was_down_is_no_loss() -> None:
    desk = holding()
    left_ns = desk.now_ns
    question = away(desk, "5000", 2)
    assert question.from_ns < left_ns and question.to_ns > desk.now_ns, "with room for the venue's clock"
    assert trading_after(desk, 1) == "active", "nothing is concluded before the answer"
    desk.hear(stated(desk, ("10000", 1, left_ns - 1), ("-5000", 2, left_ns + 5 * SECOND), before="0"))
    [notice] = [n for d in desk.decisions for n in d.notices]
    assert "5000 paid out without our hearing of it" in notice.text
    assert trading_after(desk, 1) == "active"


def test_a_loss_made_while_the_link_was_down_is_one() -> None:
    desk = holding()
    away(desk, "9000", 2)
    desk.hear(stated(desk))
    assert trading_after(desk, 2.1) == "halted", "a balance that moved is looked at after a moment"


def test_a_question_nobody_answers_leaves_the_change_a_loss() -> None:
    desk = holding()
    away(desk, "5000", 2)
    assert trading_after(desk, 9) == "active"
    assert trading_after(desk, 1.1) == "halted"


def test_a_transfer_that_was_told_when_it_happened_is_not_counted_again() -> None:
    desk = holding()
    desk.pay("-5000", 2)
    assert trading_after(desk, 1) == "active"
    away(desk, "5000", 2)
    desk.hear(stated(desk, ("-5000", 2, desk.now_ns - 40 * SECOND)))
    assert trading_after(desk, 1) == "active"
    assert 4_000 < peak(desk) < 6_000, "the references moved once"


def looked_up(desk: Desk) -> AskCashFlow:
    """Let a calm pass until the bot looks at the venue's lists by itself; return what it asks beside them."""
    desk.decisions.clear()
    for _ in range(70):
        desk.now_ns += SECOND
        asked = [r for r in desk.quote().requests if isinstance(r, AskCashFlow)]
        if asked:
            break
    [question] = asked
    assert any(isinstance(r, ResolveOrders) for r in desk.decisions[-1].requests)
    return question


def peak(desk: Desk) -> float:
    loss = desk.engine._guard.memory()["loss"]
    assert isinstance(loss, dict)
    return float(loss["peak"])


@pytest.mark.parametrize("hears", ["the answer", "the answer, then the event", "the event, then the answer"])
def test_a_withdrawal_whose_event_is_lost_or_late_shows_at_the_usual_look_and_counts_once(hears: str) -> None:
    desk = holding()
    lost_ns = desk.now_ns + SECOND
    question = looked_up(desk)
    assert question.from_ns < lost_ns < question.to_ns
    answer = stated(desk, ("-5000", 2, lost_ns))
    if hears == "the event, then the answer":
        desk.pay("-5000", 2)
    desk.hear(answer)
    if hears == "the answer, then the event":
        assert desk.engine.portfolio.balance == 5000
        balance, delta = Decimal(5000), Decimal(-5000)
        late = ev.ExecutionReported(
            desk.now_ns, "deposit_withdraw", balance=balance, balance_version=2, balance_change=delta
        )
        desk.hear(late, late)
    assert desk.engine.portfolio.balance == 5000
    assert trading_after(desk, 1) == "active"
    assert 4_900 < peak(desk) < 5_100, "the references moved once"
    assert len([n for d in desk.decisions for n in d.notices if n.code == "transfer"]) == 1


def test_a_balance_that_the_lists_tell_before_the_cash_flow_is_no_loss_until_that_has_come() -> None:
    desk = holding()
    lost_ns = desk.now_ns + SECOND
    looked_up(desk)
    [held] = desk.engine.portfolio.positions()
    deal = Deal(9, 8, held.position_id, 1, 0, 1.1, Decimal(0), desk.now_ns, balance=Decimal("4990"), balance_version=3)
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (), (deal,), complete=True))
    assert desk.engine.portfolio.balance == 4990 and desk.engine.trading == "active"
    desk.hear(stated(desk, ("-5000", 2, lost_ns)))
    assert desk.engine.portfolio.balance == 4990, "the newer one stays"
    assert trading_after(desk, 1) == "active"
    assert 4_900 < peak(desk) < 5_100


def test_a_look_that_nobody_answers_keeps_a_loss_waiting_for_two_seconds() -> None:
    desk = holding()
    looked_up(desk)
    desk.now_ns += SECOND
    desk.quote(mid_e5=106_900)
    assert desk.engine.trading == "halted", "a loss by prices waits for nothing: the balance is the known one"
    desk = holding()
    looked_up(desk)
    [held] = desk.engine.portfolio.positions()
    deal = Deal(9, 8, held.position_id, 1, 0, 1.1, Decimal(0), desk.now_ns, balance=Decimal("9000"), balance_version=3)
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (), (deal,), complete=True))
    assert trading_after(desk, 1.9) == "active"
    assert trading_after(desk, 0.3) == "halted"


def test_at_the_first_start_nothing_is_asked() -> None:
    desk = Desk()
    assert not [r for r in desk.begin().requests if isinstance(r, AskCashFlow)]


def test_over_a_restart_losses_count_on_and_a_withdrawal_in_between_is_none() -> None:
    before = holding()
    before.now_ns += SECOND
    before.quote(mid_e5=108_500)  # 2.7 % lost
    assert before.engine.trading == "active"
    content = before.engine._guard.memory()

    def restarted(balance: str, *changes: tuple[str, int, int]) -> Desk:
        desk = Desk(max_daily_loss_frac=0.05, max_drawdown_frac=0.05, flatten_on_loss=False, balance=balance)
        desk.now_ns = before.now_ns + 60 * SECOND
        desk.account = replace(desk.account, balance_version=2)
        [event] = decode_inputs(encode_inputs([ev.GuardRestored(desk.now_ns, content)]))
        assert isinstance(event, ev.GuardRestored)
        desk.hear(event)
        desk.begin(*before.engine.portfolio.positions())
        desk.hear(stated(desk, *changes))
        desk.now_ns += SECOND
        desk.quote(mid_e5=107_200)  # 5.1 % of what there was, of which 2.4 % since the restart
        return desk

    assert restarted("10000").engine.trading == "halted"
    fresh = holding()
    fresh.now_ns += SECOND
    fresh.quote(mid_e5=107_900)
    assert fresh.engine.trading == "active"
    assert restarted("20000", ("10000", 2, before.now_ns + SECOND)).engine.trading == "active", "it is now half of that"
