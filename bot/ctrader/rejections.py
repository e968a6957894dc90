"""What an error of the venue leads to: each code to its reaction, each request to its outcome.

An error that names a request of ours settles it, and its owner is told. One that names none is about the connection or
the account, or it is the answer to the only question that is open; what it cannot be is overlooked.
Source: ProtoOAErrorRes, ProtoErrorRes, ProtoOAOrderErrorEvent.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from bot.ctrader.correlation import Outcome, PendingRequest, Purpose
from bot.ctrader.errands import Errands
from bot.ctrader.errors import MAINTENANCE, Reaction, rule_for
from bot.ctrader.handshake import DISPENSABLE, REPEATABLE
from bot.ctrader.outbox import Outbox
from bot.ctrader.phases import Phase
from bot.ctrader.symbol_changes import SymbolChanges
from bot.ctrader.translate import text
from bot.ctrader.walk import CONNECTIONS_LIMIT, Walk

_NO_CLIENT = "CH_CLIENT_NOT_AUTHENTICATED"


class Rejections:
    """Takes the errors of one session. Args: `depth_done` takes a step of a depth renewal that is done already."""

    def __init__(
        self,
        walk: Walk,
        outbox: Outbox,
        errands: Errands,
        changes: SymbolChanges,
        counters: Counter[str],
        depth_done: Callable[[PendingRequest, int], None],
    ) -> None:
        self._walk = walk
        self._outbox = outbox
        self._errands = errands
        self._changes = changes
        self._counters = counters
        self._depth_done = depth_done

    def take(self, error: Any, message_id: str, recv_ns: int) -> None:
        """Take an error that came."""
        pending = self._outbox.pending.sent(message_id)
        if pending is None and not message_id and self._is_about_the_question(error):
            pending = self._outbox.pending.only()
        if pending is None:
            self._without_request(error, message_id, recv_ns)
        else:
            self._of_request(pending, error, recv_ns)

    def _is_about_the_question(self, error: Any) -> bool:
        # In the handshake the session's questions are all there is, but an order of before may still be spoken of.
        if self._walk.phase is Phase.READY or getattr(error, "ctidTraderAccountId", 0) != 0:
            return False
        return rule_for(text(error.errorCode), text(error.description)).reaction is not Reaction.CORRECT

    def _of_request(self, pending: PendingRequest, error: Any, recv_ns: int) -> None:
        code, description = text(error.errorCode), text(error.description)
        reaction = rule_for(code, description).reaction
        retry_after_s = getattr(error, "retryAfter", 0)
        if code == "BLOCKED_PAYLOAD_TYPE":
            self._outbox.hold(pending.message, recv_ns, retry_after_s)
        held_ns = self._outbox.held_until_ns(pending.message, recv_ns)
        is_known = pending.trade is None or self._errands.trade_refused(
            pending.trade, error, recv_ns, retry_at_ns=held_ns
        )
        self._outbox.pending.settle(pending.message_id, Outcome.REFUSED if is_known else Outcome.UNKNOWN)
        if pending.purpose is Purpose.TOKEN_RENEWAL and reaction is not Reaction.SLOW_DOWN:
            is_final = reaction in (Reaction.FATAL, Reaction.CORRECT)
            self._walk.token_refused(f"the venue refused: {code} {description}".strip(), recv_ns, is_final=is_final)
        elif code == MAINTENANCE:
            self._walk.maintenance(error, recv_ns)
        elif reaction is Reaction.SLOW_DOWN:
            if held_ns is None:
                self._outbox.slow_down(pending.message, recv_ns, retry_after_s)
            if pending.trade is None:
                self._outbox.send(pending.purpose, pending.message, pending.key)
        elif pending.purpose is Purpose.QUESTION and reaction is not Reaction.AUTHENTICATE:
            self._counters["refusals_passed_over"] += 1  # not every broker answers everything
        elif reaction is Reaction.FATAL:
            self._walk.fatal_code(code, description, recv_ns)
        elif reaction is Reaction.AUTHENTICATE and self._walk.phase is Phase.READY and code != _NO_CLIENT:
            self._walk.account_lost(f"{code} {description}".strip(), recv_ns)
        elif reaction is Reaction.AUTHENTICATE:
            self._walk.turned_away(pending.message.DESCRIPTOR.name, error, recv_ns)
        else:
            self._refused(pending, error, reaction, recv_ns)

    def _refused(self, pending: PendingRequest, error: Any, reaction: Reaction, recv_ns: int) -> None:
        name, done = pending.message.DESCRIPTOR.name, reaction is Reaction.SUCCESS
        match pending.purpose:
            case Purpose.HISTORY:
                self._errands.history_refused(pending, text(error.errorCode), self._walk.handshake.account, recv_ns)
            case Purpose.DEPTH_RENEWAL if done or name == "ProtoOAUnsubscribeDepthQuotesReq":
                self._depth_done(pending, recv_ns)  # not subscribed (any more) is what was wanted
            case Purpose.HANDSHAKE if done and name in REPEATABLE:
                self._walk.depth_survived = self._walk.depth_survived or name == "ProtoOASubscribeDepthQuotesReq"
                self._walk.advance(recv_ns)
            case Purpose.HANDSHAKE if reaction is Reaction.CORRECT and name in DISPENSABLE:
                self._counters["refusals_passed_over"] += 1
                self._walk.advance(recv_ns)
            case Purpose.SESSION_CHECK if done:
                self._walk.token.accepted()
            case Purpose.HANDSHAKE | Purpose.DEPTH_RENEWAL | Purpose.SESSION_CHECK:
                self._walk.turned_away(name, error, recv_ns)
            case Purpose.SYMBOL_CHANGE:
                self._counters["refusals_passed_over"] += 1
                self._changes.refused(name, error, reaction, recv_ns)

    def _without_request(self, error: Any, message_id: str, recv_ns: int) -> None:
        self._counters["errors_without_request"] += 1
        code, description = text(error.errorCode), text(error.description)
        reaction = rule_for(code, description).reaction
        account_id = getattr(error, "ctidTraderAccountId", 0)
        if account_id and account_id != self._walk.handshake.account_id:
            self._counters["foreign_account"] += 1
        elif self._walk.phase.has_account and self._errands.refused_without_request(error, recv_ns):
            pass
        elif code == MAINTENANCE:
            self._walk.maintenance(error, recv_ns)
        elif reaction is Reaction.FATAL:
            self._walk.fatal_code(code, description, recv_ns)
        elif message_id:
            pass  # a late word about a request that has its outcome
        elif code in (CONNECTIONS_LIMIT, _NO_CLIENT):
            self._walk.turned_away("the connection", error, recv_ns)
        elif reaction is Reaction.AUTHENTICATE and self._walk.phase is Phase.READY:
            self._walk.account_lost(f"{code} {description}".strip(), recv_ns)
        elif self._is_about_the_question(error) and reaction is not Reaction.SUCCESS:
            # One of several questions was refused, and nobody says which: ask them all again on a new connection.
            self._walk.turned_away("a question of the handshake", error, recv_ns)
