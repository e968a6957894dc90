"""The life of our amendments of positions' protection: sent, answered, overdue, unknown, resolved; and their lines.

How it works: an amendment has an id of ours, which its `order` lines and the ledger carry; on the wire there is none.
What it asks for is absolute, so one of unknown outcome does no harm; all the same its symbol gets no other order before
the venue's lists have answered, and the next amendment is made of what they say.

Invariant: a position has one amendment on its way at most; after each refusal in a row the pause is twice as long.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.engine import events as ev
from bot.engine.decision import IntendedOrder, OrderChange
from bot.execution.requests import ProtectPosition

_SECOND = 1_000_000_000
_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = _SECOND, 60 * _SECOND
_NEVER_LEFT = ("NOT_SENT", "NOT_READY")


@dataclass(slots=True)
class _Amendment:
    intended: IntendedOrder
    request: ProtectPosition
    symbol_index: int
    sent_ns: int
    state: str = "sent"


class ProtectionFlow:
    """Follows amendments of protection. Args: `note` takes a line about one."""

    def __init__(self, note: Callable[[OrderChange], None]) -> None:
        self._note = note
        self._by_position: dict[int, _Amendment] = {}
        self._failures: dict[int, int] = {}  # refusals in a row
        self._pause_until_ns: dict[int, int] = {}

    # -- what others may ask ------------------------------------------------------------------------------------

    def is_waiting(self, position_id: int, now_ns: int) -> bool:
        """Return whether an amendment of a position is on its way, or was refused a moment ago."""
        return position_id in self._by_position or self._pause_until_ns.get(position_id, 0) > now_ns

    def has_failed(self, position_id: int) -> bool:
        """Return whether the last amendment of a position was refused."""
        return position_id in self._failures

    def any(self) -> bool:
        """Return whether one has no outcome yet."""
        return bool(self._by_position)

    def unknown_symbols(self) -> list[int]:
        """Return the indexes of symbols with an amendment whose outcome is unknown."""
        return [a.symbol_index for a in self._by_position.values() if a.state == "unknown"]

    # -- what happens -------------------------------------------------------------------------------------------

    def sent(self, intended: IntendedOrder, request: ProtectPosition, symbol_index: int, now_ns: int) -> None:
        """Remember an amendment that goes out with this decision."""
        amendment = _Amendment(intended, request, symbol_index, now_ns)
        self._by_position[request.position_id] = amendment
        self._report(amendment, "sent", None, paper=False)

    def executed(self, event: ev.ExecutionReported) -> None:
        """Take what the venue says of one: that the position's protection was replaced, or that it will not be."""
        amendment = self._find(event.client_order_id)
        if amendment is None:
            return
        if event.kind == "replaced":
            self._failures.pop(amendment.request.position_id, None)
            self._end(amendment, "replaced", None, paper=event.paper)
        elif event.kind == "rejected":
            self._pause(amendment, event.recv_ns)
            self._end(amendment, "rejected", event.error_code, paper=event.paper)

    def refused(self, event: ev.RequestRefused) -> bool:
        """Take a refusal; return False where it is not about an amendment of protection."""
        amendment = self._find(event.client_order_id)
        if amendment is None:
            return False
        if event.outcome_unknown:
            self._become_unknown(amendment, event.error_code)
            return True
        if event.error_code in _NEVER_LEFT or event.retry_at_ns is not None:
            until_ns = max(event.recv_ns + _FIRST_PAUSE_NS, event.retry_at_ns or 0)
            self._pause_until_ns[amendment.request.position_id] = until_ns
        else:
            self._pause(amendment, event.recv_ns)
        self._end(amendment, "rejected", event.error_code, paper=event.paper)
        return True

    def connection_lost(self) -> None:
        """What has no answer may have been carried out or not: unknown."""
        for amendment in self._by_position.values():
            self._become_unknown(amendment, "CONNECTION_LOST")

    def overdue(self, now_ns: int, timeout_ns: int) -> bool:
        """Turn amendments without an answer into unknown ones; return whether the venue is to be asked."""
        for amendment in self._by_position.values():
            if amendment.state == "sent" and now_ns - amendment.sent_ns >= timeout_ns:
                self._become_unknown(amendment, "ORDER_TIMEOUT")
        return bool(self.unknown_symbols())

    def listed(self, *, complete: bool) -> list[int]:
        """Take that positions are now as the venue's lists say; return the symbols in which that was unknown."""
        unknown = [a for a in self._by_position.values() if a.state == "unknown"] if complete else []
        for amendment in unknown:
            self._end(amendment, "resolved", None, paper=False)
        return [amendment.symbol_index for amendment in unknown]

    def keep_only(self, position_ids: Iterable[int]) -> None:
        """Forget the refusals of positions that are gone."""
        known = set(position_ids)
        self._failures = {pid: n for pid, n in self._failures.items() if pid in known}
        self._pause_until_ns = {pid: ns for pid, ns in self._pause_until_ns.items() if pid in known}

    def _find(self, client_order_id: str | None) -> _Amendment | None:
        if client_order_id is None or not self._by_position:
            return None
        return next((a for a in self._by_position.values() if a.request.client_order_id == client_order_id), None)

    def _pause(self, amendment: _Amendment, now_ns: int) -> None:
        position_id = amendment.request.position_id
        failures = self._failures.get(position_id, 0)
        self._failures[position_id] = failures + 1
        pause_ns = min(_FIRST_PAUSE_NS << min(failures, 10), _LONGEST_PAUSE_NS)
        self._pause_until_ns[position_id] = now_ns + pause_ns

    def _become_unknown(self, amendment: _Amendment, error_code: str | None) -> None:
        if amendment.state == "sent":
            amendment.state = "unknown"
            self._report(amendment, "unknown", error_code, paper=False)

    def _end(self, amendment: _Amendment, state: str, error_code: str | None, *, paper: bool) -> None:
        del self._by_position[amendment.request.position_id]
        self._report(amendment, state, error_code, paper=paper)

    def _report(self, amendment: _Amendment, state: str, error_code: str | None, *, paper: bool) -> None:
        self._note(
            OrderChange(
                order=amendment.intended,
                state=state,
                order_id=None,
                position_id=amendment.request.position_id,
                executed_cents=0,
                execution_price=None,
                error_code=error_code,
                paper=paper,
            )
        )
