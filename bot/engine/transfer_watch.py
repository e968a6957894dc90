"""Deposits and withdrawals that nobody told us of while we were away: asked for, so that they are not taken for profit
or loss.

How it works: while READY the balance version is noted with every look at the loss limits. After a gap the broker is
asked what was paid in and out since; until it has answered, for `PATIENCE_S` at most, the loss limits wait. What is not
answered is then taken for profit or loss, which errs on the side of stopping.
"""

from bot.account.loss import LossGuard
from bot.engine.events import CashChange, CashFlowStated
from bot.execution.requests import AskCashFlow, Request

PATIENCE_S = 10
_SECOND = 1_000_000_000
_SLACK_NS = 60 * _SECOND  # the venue's clock may differ from ours
_LONGEST_NS = 604_800 * _SECOND  # what the venue lists in one answer


class TransferWatch:
    """What of the account's transfers the loss limits know. `loss` is told of those they do not."""

    def __init__(self, loss: LossGuard) -> None:
        self._loss = loss
        self._known_version: int | None = None
        self._known_ns: int | None = None
        self._waits_until_ns = 0
        self._was_ready = False

    def looked(self, balance_version: int | None, now_ns: int) -> None:
        """Say that the loss limits have looked at equity with this balance."""
        self._known_version, self._known_ns = balance_version, now_ns

    def told(self, change: float, balance_version: int | None) -> None:
        """Take a transfer as it happens."""
        self._loss.deposited(change)
        if balance_version is not None:
            self._known_version = max(balance_version, self._known_version or 0)

    def requests(self, now_ns: int, *, ready: bool) -> list[Request]:
        """Return the question to ask when READY has been reached again, or for the first time after an earlier run."""
        is_new, self._was_ready = ready and not self._was_ready, ready
        if not is_new or self._known_ns is None:
            return []
        self._waits_until_ns = now_ns + PATIENCE_S * _SECOND
        return [AskCashFlow(max(self._known_ns - _SLACK_NS, now_ns + _SLACK_NS - _LONGEST_NS), now_ns + _SLACK_NS)]

    def stated(self, event: CashFlowStated) -> list[CashChange]:
        """Take the answer; return the transfers that were news, oldest first."""
        if self._waits_until_ns == 0:
            return []
        self._waits_until_ns = 0
        missed = sorted(filter(self._is_missed, event.changes), key=lambda change: change.changed_ns)
        for change in missed:
            self.told(float(change.delta), change.balance_version)
        return missed

    def is_waiting(self, now_ns: int) -> bool:
        """Return whether the answer is still awaited."""
        return now_ns < self._waits_until_ns

    def _is_missed(self, change: CashChange) -> bool:
        if change.balance_version is not None and self._known_version is not None:
            return change.balance_version > self._known_version
        return self._known_ns is not None and change.changed_ns > self._known_ns

    def memory(self) -> dict[str, object]:
        """Return what a later run is to know."""
        return {"balance_version": self._known_version, "looked_ns": self._known_ns}

    def restore(self, content: dict[str, object]) -> None:
        """Take what an earlier run knew. Raises: ValueError for what `memory` does not return."""
        version, looked = content.get("balance_version"), content.get("looked_ns")
        if not all(x is None or isinstance(x, int) for x in (version, looked)):
            raise ValueError(f"not the memory of a transfer watch: {content}")
        self._known_version = None if version is None else int(str(version))
        self._known_ns = None if looked is None else int(str(looked))
