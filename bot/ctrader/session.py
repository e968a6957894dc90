"""The protocol session: frames in, events out; requests in, frames out. No IO and no clock of its own.

How it works: after `connection_made` the session walks the table in `phases` until READY, telling readiness at each
step. Requests wait in the `Outbox` until the venue's limits let them leave through `data_to_send`. Replies find their
request by message id. Market data becomes delta rows; everything else becomes one event. The driver calls
`handle_timeout` at `next_timeout_ns`, drops the link when `wants_disconnect` says so, and stops at `fatal`.

Invariants: nothing precedes application auth; message ids never repeat within a run; a trading request leaves only in
READY, and one that never left is reported as NOT_SENT; rows and other events keep the order in which they came.
"""

from collections import Counter, deque
from typing import Any

from google.protobuf.message import DecodeError

from bot.ctrader.correlation import PendingRequest, Purpose
from bot.ctrader.errands import Errands
from bot.ctrader.errors import Reaction, fatal_text, rule_for
from bot.ctrader.handshake import DISPENSABLE, REPEATABLE, Handshake
from bot.ctrader.orders import refused
from bot.ctrader.outbox import INBOUND_LIMIT_NS, Outbox
from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.plan import Fatal, HandshakeRefused, SessionPlan
from bot.ctrader.quotes import QuoteBatch
from bot.ctrader.schema import message, message_for, payload_type
from bot.ctrader.translate import text
from bot.engine.events import Event, ReadinessChanged, RequestRefused, SymbolsLoaded
from bot.execution.requests import Request, ResolveOrders, ResubscribeDepth
from bot.market.symbols import SymbolSpec

__all__ = ["Fatal", "Session", "SessionPlan"]

MALFORMED_LIMIT = 3
ACCOUNT_LOSS_LIMIT, ACCOUNT_LOSS_WINDOW_NS = 3, 60_000_000_000


class Session:
    """One account on one venue, over as many connections as it takes."""

    def __init__(self, plan: SessionPlan) -> None:
        self.plan = plan
        self.fatal: Fatal | None = None
        self.wants_disconnect: str | None = None
        self.counters: Counter[str] = Counter()
        self.phase = Phase.CLOSED
        self._reasons: tuple[str, ...] | None = None
        self._handshake = Handshake(plan)
        self._outbox = Outbox(plan.run_id)
        self._errands = Errands(self._outbox, self._emit)
        self._quotes = QuoteBatch(self.counters)
        self._events: list[Event] = []
        self._index: dict[int, int] = {}
        self._specs: dict[int, SymbolSpec] = {}
        self._losses_ns: deque[int] = deque(maxlen=ACCOUNT_LOSS_LIMIT)
        self._malformed_in_a_row = 0
        self._depth_survived = False
        self._envelope = message("ProtoMessage")
        self._market_data = (payload_type("ProtoOASpotEvent"), payload_type("ProtoOADepthEvent"))
        self._handlers = {
            payload_type(name): handler
            for name, handler in (
                ("ProtoOASpotEvent", self._spot),
                ("ProtoOADepthEvent", self._depth),
                ("ProtoOAExecutionEvent", self._execution),
                ("ProtoOAOrderErrorEvent", self._error),
                ("ProtoOAErrorRes", self._error),
                ("ProtoErrorRes", self._error),
                ("ProtoOATraderUpdatedEvent", self._trader_updated),
                ("ProtoOASymbolChangedEvent", self._symbol_changed),
                ("ProtoOAAccountDisconnectEvent", self._account_disconnected),
                ("ProtoOAAccountsTokenInvalidatedEvent", self._token_invalidated),
                ("ProtoOAClientDisconnectEvent", self._client_disconnected),
                ("ProtoHeartbeatEvent", self._heartbeat),
            )
        }

    @property
    def ready(self) -> bool:
        """True when orders may be sent."""
        return self.phase is Phase.READY and not self._is_over

    @property
    def venue_version(self) -> str | None:
        """The protocol version the venue stated."""
        return self._handshake.venue_version

    def connection_made(self, now_ns: int) -> None:
        """Start the handshake on a new connection."""
        if self.fatal is not None:
            return
        if self.phase is not Phase.CLOSED:
            self.connection_lost(now_ns, "a new connection was made")
        self._outbox.start(now_ns)
        self._malformed_in_a_row = 0
        self._enter(Phase.APPLICATION_AUTH, now_ns)

    def connection_lost(self, now_ns: int, reason: str) -> None:
        """Forget everything that belonged to the connection; requests that never left are reported as NOT_SENT."""
        self._errands.forget(now_ns, f"the connection was lost first: {reason}", keep_sent_trades=False)
        self._depth_survived = False
        self.wants_disconnect = None
        self.phase = Phase.CLOSED
        self._tell_readiness(("disconnected",), now_ns)

    def receive_frame(self, body: bytes, recv_ns: int) -> None:
        """Take one whole frame, without its length."""
        if self._is_deaf:
            return
        self._outbox.heard(recv_ns)
        self.counters["messages"] += 1
        try:
            wrapper = self._envelope.FromString(body)
            if not wrapper.HasField("payloadType"):
                raise DecodeError("the frame has no payload type")
            message_type = message_for(wrapper.payloadType)
            if message_type is None:
                self.counters["unknown_types"] += 1
            else:
                content = message_type.FromString(wrapper.payload)
                # Not asked of market data, where it would cost as much as the decoding: an absent field reads as 0
                # there, and no symbol, account, price or size is 0.
                if wrapper.payloadType not in self._market_data and not content.IsInitialized():
                    raise DecodeError(f"{message_type.DESCRIPTOR.name} lacks required fields")
                self._dispatch(wrapper.payloadType, content, wrapper.clientMsgId, recv_ns)
        except HandshakeRefused as refusal:
            self.fatal = refusal.fatal
        except (DecodeError, ArithmeticError) as error:  # ArithmeticError: money digits that no decimal can have
            self.counters["malformed"] += 1
            self._malformed_in_a_row += 1
            if self._malformed_in_a_row >= MALFORMED_LIMIT:
                self.wants_disconnect = f"{MALFORMED_LIMIT} frames in a row could not be read: {error}"
            return
        self._malformed_in_a_row = 0

    def submit(self, request: Request, now_ns: int) -> None:
        """Send a request, or refuse it at once with an event that says why."""
        account_id = self._handshake.account_id
        if account_id is None or not self.ready:
            reasons = self.wants_disconnect or ", ".join(self._reasons or ("connecting",))
            why = f"the session is not ready: {reasons}"
            if isinstance(request, ResolveOrders | ResubscribeDepth):
                self._emit(RequestRefused(now_ns, None, "NOT_READY", why))
            else:
                self._emit(refused(request, "NOT_READY", why, now_ns))
        elif isinstance(request, ResolveOrders):
            self._errands.resolve(request.from_ns, account_id, now_ns)
        elif isinstance(request, ResubscribeDepth):
            if request.symbol_id in self._index:
                self._errands.renew_depth(request.symbol_id, account_id)
        else:
            self._errands.submit_trade(request, account_id, self._specs.get(request.symbol_id), now_ns)

    def handle_timeout(self, now_ns: int) -> None:
        """Act on the clock: the inbound watchdog and replies that did not come."""
        if self._is_deaf:
            return
        if self._outbox.is_silent(now_ns):
            self.wants_disconnect = f"nothing received for {INBOUND_LIMIT_NS // 1_000_000_000} s"
            return
        while (late := self._outbox.pending.overdue(now_ns)) is not None:
            self._outbox.pending.close(late.message_id)
            if late.purpose is not Purpose.HISTORY:
                self.wants_disconnect = f"no answer to {late.message.DESCRIPTOR.name} within 15 s"
                return
            self._errands.history_refused(late, "TIMEOUT", self._handshake.account, now_ns)

    def next_timeout_ns(self) -> int | None:
        """Return when to call `handle_timeout` and `data_to_send` again, None while there is no connection."""
        return None if self._is_deaf else self._outbox.next_ns()

    def data_to_send(self, now_ns: int) -> list[bytes]:
        """Return the framed messages whose turn has come; a heartbeat when there was none for 10 s."""
        return [] if self._is_deaf else self._outbox.frames(now_ns)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        self._flush_quotes()
        events, self._events = self._events, []
        return events

    # Telling.

    @property
    def _is_over(self) -> bool:
        return self.fatal is not None or self.wants_disconnect is not None

    @property
    def _is_deaf(self) -> bool:
        return self.phase is Phase.CLOSED or self._is_over

    def _emit(self, event: Event) -> None:
        self._flush_quotes()
        if isinstance(event, SymbolsLoaded):
            self._index = {spec.symbol_id: i for i, spec in enumerate(event.symbols)}
            self._specs = {spec.symbol_id: spec for spec in event.symbols}
        self._events.append(event)

    def _flush_quotes(self) -> None:
        if (event := self._quotes.take()) is not None:
            self._events.append(event)

    def _tell_readiness(self, reasons: tuple[str, ...], now_ns: int) -> None:
        if reasons != self._reasons:
            self._reasons = reasons
            self._emit(ReadinessChanged(now_ns, reasons))

    # The handshake.

    def _enter(self, phase: Phase, now_ns: int) -> None:
        """Enter a phase and pass through those that have nothing to ask."""
        while phase is not Phase.READY:
            self.phase = phase
            self._tell_readiness((TRANSITIONS[phase].reason,), now_ns)
            questions = self._handshake.questions(phase)
            for body, key in questions:
                self._outbox.send(Purpose.HANDSHAKE, body, key)
            if questions:
                return
            phase = self._leave(phase, now_ns)
        self.phase = Phase.READY
        self._tell_readiness((), now_ns)
        if self._depth_survived:
            # It told its snapshot long ago, to books that are cleared by now.
            self._depth_survived = False
            for symbol_id in self._handshake.catalogue.traded_ids:
                self._errands.renew_depth(symbol_id, self._handshake.account)

    def _leave(self, phase: Phase, now_ns: int) -> Phase:
        for event in self._handshake.complete(phase, now_ns):
            self._emit(event)
        return self._handshake.next_phase(phase)

    def _advance(self, now_ns: int) -> None:
        if not self._outbox.pending.any_of(Purpose.HANDSHAKE):
            self._enter(self._leave(self.phase, now_ns), now_ns)

    def _account_lost(self, reason: str, now_ns: int) -> None:
        """Authenticate the account again on the live connection, and go on as after a drop."""
        self.counters["account_losses"] += 1
        self._errands.forget(now_ns, f"the account's session ended: {reason}", keep_sent_trades=True)
        self._tell_readiness(("account_disconnected",), now_ns)
        self._losses_ns.append(now_ns)
        if len(self._losses_ns) == ACCOUNT_LOSS_LIMIT and now_ns - self._losses_ns[0] < ACCOUNT_LOSS_WINDOW_NS:
            # Asking again and again at once would only burn requests; a reconnect has a pause in it.
            self._losses_ns.clear()
            self.wants_disconnect = f"the account's session ended {ACCOUNT_LOSS_LIMIT} times within a minute: {reason}"
            return
        self._enter(Phase.ACCOUNT_AUTH, now_ns)

    # Replies and errors.

    def _dispatch(self, number: int, content: Any, message_id: str, recv_ns: int) -> None:
        handler = self._handlers.get(number)
        if handler is not None:
            handler(content, message_id, recv_ns)
            return
        pending = self._outbox.pending.get(message_id)
        if pending is None or pending.expects != number:
            self.counters["unexpected"] += 1
            return
        self._outbox.pending.close(message_id)
        match pending.purpose:
            case Purpose.HANDSHAKE:
                for event in self._handshake.accept(content, pending.key, recv_ns):
                    self._emit(event)
                self._advance(recv_ns)
            case Purpose.HISTORY:
                self._errands.history_answered(pending, content, self._handshake.account, recv_ns)
            case Purpose.DEPTH_RENEWAL:
                self._depth_answered(pending, recv_ns)
            case Purpose.SYMBOL_CHANGE:
                events, questions = self._handshake.refresh(content, recv_ns)
                for event in events:
                    self._emit(event)
                for body, key in questions:
                    self._outbox.send(Purpose.SYMBOL_CHANGE, body, key)

    def _error(self, error: Any, message_id: str, recv_ns: int) -> None:
        code, description = text(error.errorCode), text(error.description)
        pending = self._outbox.pending.get(message_id)
        if pending is None:
            self.counters["errors_without_request"] += 1
            told = self._errands.refused_without_request(error, recv_ns)
            if not told and rule_for(code, description).reaction is Reaction.FATAL:
                self.fatal = Fatal(3, fatal_text(code, description))
            return
        self._outbox.pending.close(message_id)
        if pending.trade is not None and not self._errands.trade_refused(pending.trade, error, recv_ns):
            self.counters["outcomes_unknown"] += 1
        reaction = rule_for(code, description).reaction
        if reaction is Reaction.SLOW_DOWN:
            self._outbox.hold(pending.message, recv_ns, getattr(error, "retryAfter", 0))
            if pending.trade is None:
                self._outbox.send(pending.purpose, pending.message, pending.key)
        elif reaction is Reaction.FATAL:
            self.fatal = Fatal(3, fatal_text(code, description))
        elif reaction is Reaction.AUTHENTICATE and self.ready and code != "CH_CLIENT_NOT_AUTHENTICATED":
            self._account_lost(f"{code} {description}".strip(), recv_ns)
        elif reaction is Reaction.AUTHENTICATE:
            self._want_disconnect(pending, error)
        else:
            self._refused(pending, error, reaction, recv_ns)

    def _refused(self, pending: PendingRequest, error: Any, reaction: Reaction, recv_ns: int) -> None:
        name, done = pending.message.DESCRIPTOR.name, reaction is Reaction.SUCCESS
        match pending.purpose:
            case Purpose.HISTORY:
                self._errands.history_refused(pending, text(error.errorCode), self._handshake.account, recv_ns)
            case Purpose.DEPTH_RENEWAL if done or name == "ProtoOAUnsubscribeDepthQuotesReq":
                self._depth_answered(pending, recv_ns)  # not subscribed (any more) is what was wanted
            case Purpose.HANDSHAKE if done and name in REPEATABLE:
                self._depth_survived = self._depth_survived or name == "ProtoOASubscribeDepthQuotesReq"
                self._advance(recv_ns)
            case Purpose.HANDSHAKE if reaction is Reaction.CORRECT and name in DISPENSABLE:
                self.counters["refusals_passed_over"] += 1
                self._advance(recv_ns)
            case Purpose.HANDSHAKE | Purpose.DEPTH_RENEWAL:
                self._want_disconnect(pending, error)
            case Purpose.SYMBOL_CHANGE:
                self.counters["refusals_passed_over"] += 1

    def _want_disconnect(self, pending: PendingRequest, error: Any) -> None:
        reason = f"{pending.message.DESCRIPTOR.name} was refused: {text(error.errorCode)} {text(error.description)}"
        self.wants_disconnect = reason.strip()

    def _depth_answered(self, pending: PendingRequest, recv_ns: int) -> None:
        emptied = self._errands.depth_answered(pending, self._handshake.account)
        if emptied is not None:
            self._batch(recv_ns).clear_book(self._index[emptied])

    # Events of the venue.

    def _batch(self, recv_ns: int) -> QuoteBatch:
        # Rows of one event have one receive time.
        if recv_ns != self._quotes.recv_ns:
            self._flush_quotes()
            self._quotes.recv_ns = recv_ns
        return self._quotes

    def _symbol_index(self, event: Any, *, asked: bool) -> int | None:
        if not asked or event.ctidTraderAccountId != self._handshake.account_id:
            self.counters["market_data_ignored"] += 1
            return None
        index = self._index.get(event.symbolId)
        if index is None:
            self.counters["unknown_symbols"] += 1
        return index

    def _spot(self, event: Any, _message_id: str, recv_ns: int) -> None:
        index = self._symbol_index(event, asked=self.phase.has_spots)
        if index is not None:
            self._batch(recv_ns).add_spot(event, index)

    def _depth(self, event: Any, _message_id: str, recv_ns: int) -> None:
        index = self._symbol_index(event, asked=self.phase.has_depth)
        if index is not None:
            self._batch(recv_ns).add_depth(event, index)

    def _is_ours(self, event: Any) -> bool:
        if self.phase.has_account and event.ctidTraderAccountId == self._handshake.account_id:
            return True
        self.counters["foreign_account"] += 1
        return False

    def _execution(self, event: Any, message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            pending = self._outbox.pending.get(message_id)
            trade = None if pending is None else pending.trade
            self._errands.executed(event, trade, recv_ns)
            if trade is not None:
                self._outbox.pending.close(message_id)
            if self.ready and self._handshake.needs_symbol(event):
                self._errands.forget(recv_ns, "more symbols are loaded first", keep_sent_trades=True)
                self._enter(Phase.DETAILS, recv_ns)

    def _trader_updated(self, event: Any, _message_id: str, recv_ns: int) -> None:
        # Before the asset list has come the deposit asset has no name, and the trader's own reply is on its way.
        if self._is_ours(event) and self._handshake.catalogue.asset_names:
            self._emit(self._handshake.trader_changed(event.trader, recv_ns))

    def _symbol_changed(self, event: Any, _message_id: str, _recv_ns: int) -> None:
        known = [i for i in event.symbolId if i in self._handshake.catalogue.details]
        if self._is_ours(event) and known and self.phase.has_symbols:
            self._outbox.send(Purpose.SYMBOL_CHANGE, *self._handshake.ask_symbols(known))

    def _account_disconnected(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            self._account_lost("the venue ended it", recv_ns)

    def _token_invalidated(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self.phase.has_account and self._handshake.account_id in event.ctidTraderAccountIds:
            self._account_lost(text(event.reason) or "the token was invalidated", recv_ns)

    def _client_disconnected(self, event: Any, _message_id: str, _recv_ns: int) -> None:
        why = text(event.reason) or "no reason given"
        self.wants_disconnect = f"the venue cancelled the application's session: {why}"

    def _heartbeat(self, _event: Any, _message_id: str, _recv_ns: int) -> None:
        self.counters["heartbeats"] += 1
