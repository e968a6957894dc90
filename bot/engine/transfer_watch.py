"""Deposits and withdrawals that nobody told us of: asked for, so that they are not taken for profit or loss.

How it works: while READY the balance version is noted with every look at the loss limits. After a gap, and with every
look at the venue's lists, because an event may have been lost, the broker is asked what was paid in and out. Until it
has answered, for `PATIENCE_S` (a mere look: `LOOK_PATIENCE_S`) at most, the loss limits wait if the balance has moved.
What is not answered is then taken for profit or loss, which errs on the side of stopping. A transfer that is told
twice, by an answer and by its own event, counts once: its balance version says so.
"""

from bot.account.loss import LossGuard
from bot.engine.events import CashChange, CashFlowStated
from bot.execution.requests import AskCashFlow, Request

PATIENCE_S, LOOK_PATIENCE_S = 10, 2
_SECOND = 1_000_000_000
_SLACK_NS = 60 * _SECOND  # the venue's clock may differ from ours
_LONGEST_NS = 604_800 * _SECOND  # what the venue lists in one answer


class TransferWatch:
    """What of the account's transfers the loss limits know. `loss` is told of those they do not."""

    def __init__(self, loss: LossGuard) -> None:
        self._loss = loss
        self._known_version: int | None = None
        self._known_ns: int | None = None
        self._counted_version: int | None = None  # of the newest transfer that has moved the references
        self._waits_until_ns = 0
        self._was_ready = False

    def looked(self, balance_version: int | None, now_ns: int) -> None:
        """Say that the loss limits have looked at equity with this balance."""
        self._known_version, self._known_ns = balance_version, now_ns

    def told(self, change: float, balance_version: int | None) -> bool:
        """Take a transfer as it happens; return whether it is news."""
        if balance_version is not None:
            if self._counted_version is not None and balance_version <= self._counted_version:
                return False
            self._counted_version = balance_version
            self._known_version = max(balance_version, self._known_version or 0)
        self._loss.deposited(change)
        return True

    def requests(self, now_ns: int, *, ready: bool, looks: bool) -> list[Request]:
        """Return the question to ask when READY has been reached again, or for the first time after an earlier run.

        Args: `looks` the venue's lists are being asked for now: so is this.
        """
        is_new, self._was_ready = ready and not self._was_ready, ready
        # Without versions an answer cannot be told from the events it repeats: then only gaps are asked about.
        looks = looks and self._known_version is not None
        if self._known_ns is None or not (is_new or looks):
            return []
        if is_new or self._waits_until_ns == 0:  # one who has not answered is not waited for again
            self._waits_until_ns = now_ns + (PATIENCE_S if is_new else LOOK_PATIENCE_S) * _SECOND
        # All that one answer may hold: an event may have been lost long before the first calm in which we look.
        return [AskCashFlow(now_ns + _SLACK_NS - _LONGEST_NS, now_ns + _SLACK_NS)]

    def stated(self, event: CashFlowStated) -> list[CashChange]:
        """Take the answer; return the transfers that were news, oldest first."""
        self._waits_until_ns = 0
        missed = sorted(filter(self._is_missed, event.changes), key=lambda c: (c.changed_ns, c.balance_version or 0))
        return [change for change in missed if self.told(float(change.delta), change.balance_version)]

    def is_waiting(self, balance_version: int | None, now_ns: int) -> bool:
        """Return whether the answer is still awaited, and this balance may hold what it is to tell."""
        is_known = balance_version is not None and balance_version == self._known_version
        return now_ns < self._waits_until_ns and not is_known

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
