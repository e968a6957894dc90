"""What the engine only asks of the broker while READY: margin, profit, transfers; and the answers.

A question that is refused or not answered is told to nobody: the engine asks again, and knows how old what it knows is.
"""

from collections.abc import Callable
from typing import Any

from bot.ctrader.correlation import PendingRequest, Purpose
from bot.ctrader.outbox import Outbox
from bot.ctrader.schema import message
from bot.ctrader.translate import DEFAULT_MONEY_DIGITS, NS_PER_MS, cash_change, money
from bot.engine.events import CashFlowStated, Event, ExpectedMarginStated, ProfitStated
from bot.execution.requests import AskCashFlow, AskExpectedMargin, Question

Emit = Callable[[Event], None]


class Questions:
    """Carries questions out and answers back."""

    def __init__(self, outbox: Outbox, emit: Emit) -> None:
        self._outbox = outbox
        self._emit = emit

    def ask(self, question: Question, account_id: int) -> None:
        """Send a question."""
        if isinstance(question, AskExpectedMargin):
            body = message("ProtoOAExpectedMarginReq")(
                ctidTraderAccountId=account_id, symbolId=question.symbol_id, volume=question.volumes_cents
            )
        elif isinstance(question, AskCashFlow):
            body = message("ProtoOACashFlowHistoryListReq")(
                ctidTraderAccountId=account_id,
                fromTimestamp=question.from_ns // NS_PER_MS,
                toTimestamp=question.to_ns // NS_PER_MS,
            )
        else:
            body = message("ProtoOAGetPositionUnrealizedPnLReq")(ctidTraderAccountId=account_id)
        self._outbox.send(Purpose.QUESTION, body, question)

    def answered(self, pending: PendingRequest, reply: Any, recv_ns: int) -> None:
        """Tell an answer.

        Source: ProtoOAExpectedMarginRes, ProtoOAGetPositionUnrealizedPnLRes, ProtoOACashFlowHistoryListRes.
        """
        if isinstance(pending.key, AskCashFlow):
            self._emit(CashFlowStated(recv_ns, pending.key.from_ns, tuple(map(cash_change, reply.depositWithdraw))))
            return
        digits = reply.moneyDigits if reply.HasField("moneyDigits") else DEFAULT_MONEY_DIGITS
        if isinstance(pending.key, AskExpectedMargin):
            margins = tuple((m.volume, money(m.buyMargin, digits), money(m.sellMargin, digits)) for m in reply.margin)
            self._emit(ExpectedMarginStated(recv_ns, pending.key.symbol_id, margins))
            return
        profits = tuple(
            (p.positionId, money(p.grossUnrealizedPnL, digits), money(p.netUnrealizedPnL, digits))
            for p in reply.positionUnrealizedPnL
        )
        self._emit(ProfitStated(recv_ns, profits))
