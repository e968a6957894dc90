"""The protocol session: frames in, events out; requests in, frames out. No IO and no clock of its own.

How it works: after `connection_made` the session walks the table in `phases` until READY, telling readiness at each
step. Requests wait in the `Outbox` until the venue's limits let them leave through `data_to_send`. Replies find their
request by message id. Market data becomes delta rows, compiled where it is plain (`hotpath`); everything else becomes
one event. The driver calls
`handle_timeout` at `next_timeout_ns`, drops the link when `wants_disconnect` says so, not to return before
`retry_at_ns`, and stops at `fatal`. While `token.need` is set somebody outside looks for another access token.

Invariants: nothing precedes application auth; message ids never repeat within a run; every request has one outcome; a
trading request leaves only in READY, and one that never left is reported as NOT_SENT; rows and other events keep the
order in which they came.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from bot.ctrader.correlation import Correlation, Outcome, PendingRequest, Purpose
from bot.ctrader.errands import Errands
from bot.ctrader.inbound import read_frame
from bot.ctrader.intake import Intake
from bot.ctrader.market_feed import MarketFeed
from bot.ctrader.orders import refused
from bot.ctrader.outbox import INBOUND_LIMIT_NS, Outbox
from bot.ctrader.phases import Phase
from bot.ctrader.plan import Fatal, HandshakeRefused, SessionPlan
from bot.ctrader.questions import Questions
from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.rejections import Rejections
from bot.ctrader.schema import payload_type
from bot.ctrader.symbol_changes import SymbolChanges
from bot.ctrader.token import SessionToken, TokenStep
from bot.ctrader.translate import margin_stated, stop_trailed, text
from bot.ctrader.walk import Walk
from bot.engine.events import Event, RequestRefused, SymbolsLoaded
from bot.execution.requests import CheckFeed, Question, Request, ResolveOrders, ResubscribeDepth

__all__ = ["Fatal", "Session", "SessionPlan"]

MALFORMED_LIMIT = 3


class Session:
    """One account on one venue, over as many connections as it takes."""

    def __init__(self, plan: SessionPlan) -> None:
        self.plan = plan
        self.counters: Counter[str] = Counter()
        self._outbox = Outbox(plan.run_id, plan.sharers)
        self._errands = Errands(self._outbox, self._emit)
        self._questions = Questions(self._outbox, self._emit)
        self._walk = Walk(plan, self._outbox, self._errands, self._emit, self.counters)
        self._feed = MarketFeed(self.counters)
        self._intake = Intake(self._walk, self._feed, self._outbox, self.counters, self.receive_frame)
        self.pour = self._intake.pour
        """Take a batch into a sink, if it is plain market data: see `Intake.pour`."""
        self._changes = SymbolChanges(self._walk, self._outbox, self._emit)
        self._rejections = Rejections(
            self._walk, self._outbox, self._errands, self._changes, self.counters, self._depth_answered
        )
        self._events: list[Event] = []
        self._renewal_number = payload_type("ProtoOARefreshTokenRes")
        self._handlers = {
            payload_type(name): handler
            for name, handler in (
                ("ProtoOASpotEvent", self._spot),
                ("ProtoOADepthEvent", self._depth),
                ("ProtoOAExecutionEvent", self._execution),
                ("ProtoOAOrderErrorEvent", self._rejections.take),
                ("ProtoOAErrorRes", self._rejections.take),
                ("ProtoErrorRes", self._rejections.take),
                ("ProtoOATraderUpdatedEvent", self._trader_updated),
                ("ProtoOAMarginChangedEvent", self._margin_changed),
                ("ProtoOATrailingSLChangedEvent", self._stop_trailed),
                ("ProtoOASymbolChangedEvent", self._symbol_changed),
                ("ProtoOAAccountDisconnectEvent", self._account_disconnected),
                ("ProtoOAAccountsTokenInvalidatedEvent", self._token_invalidated),
                ("ProtoOAClientDisconnectEvent", self._client_disconnected),
                ("ProtoHeartbeatEvent", self._heartbeat),
                ("ProtoOARefreshTokenRes", self._token_renewed),
            )
        }

    @property
    def phase(self) -> Phase:
        """Where the session stands."""
        return self._walk.phase

    @property
    def ready(self) -> bool:
        """True when orders may be sent."""
        return self.phase is Phase.READY and not self._walk.is_over

    @property
    def fatal(self) -> Fatal | None:
        """Why no reconnect can help; None while one can."""
        return self._walk.fatal

    @property
    def wants_disconnect(self) -> str | None:
        """Why the link is to be dropped; None while it is not."""
        return self._walk.wants_disconnect

    @property
    def retry_at_ns(self) -> int | None:
        """Before when no new link should be made; None when there is no such time."""
        return self._walk.retry_at_ns

    @property
    def last_loss(self) -> str:
        """Why the session was READY no longer, the last time."""
        return self._walk.last_loss

    @property
    def token(self) -> SessionToken:
        """The access token in use, and whether another is wanted."""
        return self._walk.token

    @property
    def requests(self) -> Correlation:
        """What was asked, and what became of it."""
        return self._outbox.pending

    @property
    def account_id(self) -> int | None:
        """The trading account; None until one is chosen from the grant."""
        return self._walk.handshake.account_id

    @property
    def venue_version(self) -> str | None:
        """The protocol version the venue stated."""
        return self._walk.handshake.venue_version

    @property
    def is_renewing_token(self) -> bool:
        """True while the answer to a renewal is on its way."""
        return self._walk.is_renewing

    @property
    def can_renew_token(self) -> bool:
        """True when the venue can be asked for a new token on this connection."""
        return not self._walk.is_deaf and self.phase is not Phase.APPLICATION_AUTH

    def connection_made(self, now_ns: int) -> None:
        """Start the handshake on a new connection."""
        if self.fatal is not None:
            return
        if self.phase is not Phase.CLOSED:
            self.connection_lost(now_ns, "a new connection was made")
        self._outbox.start(now_ns)
        self._intake.malformed_in_a_row = 0
        self._walk.begin(now_ns)

    def connection_lost(self, now_ns: int, reason: str) -> None:
        """Forget everything that belonged to the connection; requests that never left are reported as NOT_SENT."""
        self._walk.connection_lost(now_ns, reason)

    @property
    def loud_frames(self) -> Sequence[int]:
        """Positions, in the last batch, of the frames that are not plain market data: only these can hold a text."""
        return self._intake.loud_frames

    def receive_frames(self, frames: Sequence[bytes], recv_ns: int) -> None:
        """Take the frames of one batch, without their lengths: as `receive_frame` for each, but quicker."""
        self._intake.take(frames, recv_ns)

    def moved(self) -> None:
        """Hear that a checkpoint was restored: arrays that compiled loops know by address lie elsewhere."""
        self._feed.hot_path.moved()

    def heard(self, recv_ns: int) -> None:
        """Hear that market data came by another road than as frames, as in a backtest: the link lives."""
        self._outbox.heard_ns = max(self._outbox.heard_ns, recv_ns)

    def receive_frame(self, body: bytes, recv_ns: int) -> None:
        """Take one whole frame, without its length. Of a link that is given up only a new token is taken."""
        self._intake.wait()
        if self._walk.is_deaf and not self._walk.is_renewing:
            return
        self._outbox.heard_ns = recv_ns
        self.counters["messages"] += 1
        waiting_count = len(self.requests)
        try:
            number, content, message_id = read_frame(body)
            if content is None:
                self.counters["unknown_types"] += 1
            elif not self._walk.is_deaf or number == self._renewal_number:
                self._dispatch(number, content, message_id, recv_ns)
        except HandshakeRefused as refusal:
            self._walk.fatal = refusal.fatal
        except (DecodeError, ArithmeticError) as error:  # ArithmeticError: money digits that no decimal can have
            self.counters["malformed"] += 1
            self._intake.malformed_in_a_row += 1
            if self._intake.malformed_in_a_row >= MALFORMED_LIMIT:
                self._walk.wants_disconnect = f"{MALFORMED_LIMIT} frames in a row could not be read: {error}"
            elif len(self.requests) < waiting_count:
                # It was the answer to something, which would now be waited for without an end.
                self._walk.wants_disconnect = f"an answer could not be used: {error!r}"
            return
        self._intake.malformed_in_a_row = 0

    def submit(self, request: Request, now_ns: int) -> None:
        """Send a request, or refuse it at once with an event that says why."""
        account_id = self._walk.handshake.account_id
        if account_id is None or not self.ready:
            reasons = self.wants_disconnect or ", ".join(self._walk.reasons or ("connecting",))
            why = f"the session is not ready: {reasons}"
            if isinstance(request, Question):
                return  # asked again when there is somebody to ask
            if isinstance(request, ResolveOrders | ResubscribeDepth | CheckFeed):
                self._emit(RequestRefused(now_ns, None, "NOT_READY", why))
            else:
                self._emit(refused(request, "NOT_READY", why, now_ns))
        elif isinstance(request, ResolveOrders):
            self._errands.resolve(request.from_ns, account_id, now_ns)
        elif isinstance(request, Question):
            self._questions.ask(request, account_id)
        elif isinstance(request, CheckFeed):
            self._intake.wait()  # it may give the link up without a word
            self._walk.check_feed(request)
        elif isinstance(request, ResubscribeDepth):
            if request.symbol_id in self._feed.index:
                self._errands.renew_depth(request.symbol_id, account_id)
        else:
            self._errands.submit_trade(request, account_id, self._feed.specs.get(request.symbol_id), now_ns)

    def handle_timeout(self, now_ns: int) -> None:
        """Act on the clock: the token's end, the inbound watchdog, replies that did not come, intentions grown old."""
        self.token.is_due(now_ns)
        if self._walk.is_deaf:
            return
        self._errands.drop_stale(now_ns)
        if self._outbox.is_silent(now_ns):
            self._walk.wants_disconnect = f"nothing received for {INBOUND_LIMIT_NS // 1_000_000_000} s"
            return
        while (late := self.requests.overdue(now_ns)) is not None:
            self.requests.settle(late.message_id, Outcome.UNKNOWN)
            if late.trade is not None:
                self._errands.trade_overdue(late.trade, now_ns)
            elif late.purpose is Purpose.HISTORY and late.key is not None:
                # A list may take its time; a reconcile that nobody answers says that we are not heard.
                self._errands.history_refused(late, "TIMEOUT", self._walk.handshake.account, now_ns)
            elif late.purpose is Purpose.QUESTION:
                continue  # the engine asks again; whether the link lives, other requests find out
            elif late.purpose is Purpose.TOKEN_RENEWAL:
                self._walk.token_refused("the venue did not answer within 45 s", now_ns, is_final=False)
            else:
                self._walk.wants_disconnect = f"no answer to {late.message.DESCRIPTOR.name} within 15 s"
                return

    def next_timeout_ns(self) -> int | None:
        """Return when to call `handle_timeout` and `data_to_send` again, None while there is no connection."""
        return None if self._walk.is_deaf else self._outbox.next_ns()

    def data_to_send(self, now_ns: int) -> list[bytes]:
        """Return the framed messages whose turn has come; a heartbeat when there was none for 10 s."""
        if self._walk.is_deaf:
            return []
        self._errands.drop_stale(now_ns)
        return self._outbox.frames(now_ns)

    def token_step(self, step: TokenStep) -> None:
        """Take what was found out about the token that is wanted."""
        self._walk.token_step(step)

    def kind_held(self, held: KindHeld) -> None:
        """Take that another account on this connection was told of a block."""
        self._outbox.held_elsewhere(held)

    def take_holds(self) -> list[KindHeld]:
        """Return the blocks this session was told of since the last call."""
        return self._outbox.take_holds()

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events = [*self._events, *self._feed.take()]
        self._events.clear()
        self._intake.told()
        return events

    def _emit(self, event: Event) -> None:
        self._intake.wait()
        self._events += self._feed.take()
        if isinstance(event, SymbolsLoaded):
            self._feed.symbols_loaded(event)
        self._events.append(event)

    # Replies.

    def _dispatch(self, number: int, content: Any, message_id: str, recv_ns: int) -> None:
        handler = self._handlers.get(number)
        if handler is not None:
            handler(content, message_id, recv_ns)
            return
        pending = self.requests.sent(message_id)
        if pending is None or pending.expects != number:
            self.counters["unexpected"] += 1
            return
        self.requests.settle(message_id, Outcome.ANSWERED)
        match pending.purpose:
            case Purpose.HANDSHAKE:
                for event in self._walk.handshake.accept(content, pending.key, recv_ns):
                    self._emit(event)
                self._walk.advance(recv_ns)
                self._changes.ask()
            case Purpose.HISTORY:
                self._errands.history_answered(pending, content, self._walk.handshake.account, recv_ns)
            case Purpose.QUESTION:
                self._questions.answered(pending, content, recv_ns)
            case Purpose.DEPTH_RENEWAL:
                self._depth_answered(pending, recv_ns)
            case Purpose.SYMBOL_CHANGE:
                self._changes.answered(pending, content, recv_ns)
            case Purpose.SESSION_CHECK:
                # It was opened anew, so the one before had ended without a word, and its subscriptions with it.
                self.token.accepted()
                self._walk.account_lost("it had ended without a word", recv_ns, Phase.CATALOGUE)

    def _depth_answered(self, pending: PendingRequest, recv_ns: int) -> None:
        emptied = self._errands.depth_answered(pending, self._walk.handshake.account)
        if emptied is not None:
            self._feed.clear_book(emptied, recv_ns)

    # Events of the venue.

    def _spot(self, event: Any, _message_id: str, recv_ns: int) -> None:
        self._feed.spot(event, self._walk.handshake.account_id if self.phase.has_spots else None, recv_ns)

    def _depth(self, event: Any, _message_id: str, recv_ns: int) -> None:
        self._feed.depth(event, self._walk.handshake.account_id if self.phase.has_depth else None, recv_ns)

    def _is_ours(self, event: Any) -> bool:
        if self.phase.has_account and event.ctidTraderAccountId == self._walk.handshake.account_id:
            return True
        self.counters["foreign_account"] += 1
        return False

    def _execution(self, event: Any, message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            pending = self.requests.sent(message_id)
            trade = None if pending is None else pending.trade
            self._errands.executed(event, trade, recv_ns)
            if trade is not None:
                self.requests.settle(message_id, Outcome.ANSWERED)
            if self.ready and self._walk.handshake.needs_symbol(event):
                self._walk.load_more_symbols(recv_ns)

    def _trader_updated(self, event: Any, _message_id: str, recv_ns: int) -> None:
        # Before the asset list has come the deposit asset has no name, and the trader's own reply is on its way.
        if self._is_ours(event) and self._walk.handshake.catalogue.asset_names:
            self._emit(self._walk.handshake.trader_changed(event.trader, recv_ns))

    def _margin_changed(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            self._emit(margin_stated(event, recv_ns))

    def _stop_trailed(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            self._emit(stop_trailed(event, recv_ns))

    def _symbol_changed(self, event: Any, _message_id: str, _recv_ns: int) -> None:
        if self._is_ours(event):
            self._changes.noted(event.symbolId)

    def _account_disconnected(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self._is_ours(event):
            self._walk.account_lost("the venue ended it", recv_ns)

    def _token_invalidated(self, event: Any, _message_id: str, recv_ns: int) -> None:
        if self.phase.has_account and self._walk.handshake.account_id in event.ctidTraderAccountIds:
            self._walk.account_lost(text(event.reason) or "the token was invalidated", recv_ns)

    def _client_disconnected(self, event: Any, _message_id: str, _recv_ns: int) -> None:
        why = text(event.reason) or "no reason given"
        self._walk.wants_disconnect = f"the venue cancelled the application's session: {why}"

    def _token_renewed(self, reply: Any, message_id: str, recv_ns: int) -> None:
        if self._walk.has_asked_renewal(message_id):
            self.requests.settle(message_id, Outcome.ANSWERED)
            self._walk.token_renewed(reply, recv_ns)
        else:
            self.counters["unexpected"] += 1

    def _heartbeat(self, _event: Any, _message_id: str, _recv_ns: int) -> None:
        self.counters["heartbeats"] += 1
