"""Where the session stands, and its way through the phases: forward to READY, back to where it has to begin again.

How it works: `enter` asks what a phase asks; `advance` leaves it once everything is answered. What goes wrong ends in
one of four ways: the account's session is opened again on the same link (`account_lost`), another access token is
waited for (`fatal_code`), the link is to be dropped and made again (`wants_disconnect`, not before `retry_at_ns`), or
no reconnect can help (`fatal`).
"""

from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bot.ctrader.correlation import Purpose
from bot.ctrader.errands import Errands
from bot.ctrader.errors import TOKEN_CODES, fatal_text, maintenance_end_ns, rule_for
from bot.ctrader.handshake import Handshake
from bot.ctrader.outbox import Outbox
from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.plan import Fatal, SessionPlan
from bot.ctrader.token import Refusal, SessionToken, TokenPair, TokenStep
from bot.ctrader.translate import text
from bot.engine.events import Event, ReadinessChanged
from bot.execution.requests import CheckFeed

_SECOND_NS = 1_000_000_000
_LAST_S = 253_402_300_799  # the end of the year 9999, after which there are no dates to show
ACCOUNT_LOSS_LIMIT, ACCOUNT_LOSS_WINDOW_NS = 3, 60 * _SECOND_NS
# A maintenance announced for longer is asked after all the same: the announcement may be wrong.
LONGEST_MAINTENANCE_NS = 12 * 3600 * _SECOND_NS
CONNECTIONS_LIMIT = "CONNECTIONS_LIMIT_EXCEEDED"
CONNECTIONS_PAUSE_NS = 15 * _SECOND_NS
# The phases in which both spots and depth are taken, the longest first: asked once a batch.
_TAKES_ALL = tuple(phase for phase in reversed(Phase) if phase.has_spots and phase.has_depth)


class Walk:
    """The standing of one session. It tells every change of readiness."""

    def __init__(
        self,
        plan: SessionPlan,
        outbox: Outbox,
        errands: Errands,
        emit: Callable[[Event], None],
        counters: Counter[str],
    ) -> None:
        self.phase = Phase.CLOSED
        self.fatal: Fatal | None = None
        self.wants_disconnect: str | None = None
        self.retry_at_ns: int | None = None
        self.last_loss = "it was never ready"
        self.reasons: tuple[str, ...] | None = None
        self.token = SessionToken(plan)
        self.handshake = Handshake(plan)
        self.depth_survived = False
        self._outbox = outbox
        self._errands = errands
        self._emit = emit
        self._counters = counters
        self._renewal_ids: deque[str] = deque(maxlen=16)
        self._losses_ns: deque[int] = deque(maxlen=ACCOUNT_LOSS_LIMIT)

    @property
    def is_over(self) -> bool:
        """Whether nothing may be said on this link any more."""
        return self.fatal is not None or self.wants_disconnect is not None

    @property
    def is_deaf(self) -> bool:
        """Whether there is no link, or none that counts."""
        return self.phase is Phase.CLOSED or self.is_over

    @property
    def market_account_id(self) -> int | None:
        """The account whose spots and depth are both taken now; None while they are not."""
        if self.phase in _TAKES_ALL and self.fatal is None and self.wants_disconnect is None:
            return self.handshake.account_id
        return None

    # Forward.

    def begin(self, now_ns: int) -> None:
        """Start on a new connection."""
        self.retry_at_ns = None
        self.token.is_due(now_ns)
        self.enter(Phase.APPLICATION_AUTH, now_ns)

    def enter(self, phase: Phase, now_ns: int) -> None:
        """Enter a phase and pass through those that have nothing to ask."""
        while phase is not Phase.READY:
            self.phase = phase
            if phase.needs_token and (self.token.is_awaited or self.is_renewing):
                self._tell(("refreshing_token",), now_ns)
                return
            self._tell((TRANSITIONS[phase].reason,), now_ns)
            questions = self.handshake.questions(phase)
            for body, key in questions:
                self._outbox.send(Purpose.HANDSHAKE, body, key)
            if questions:
                return
            phase = self._leave(phase, now_ns)
        self.phase = Phase.READY
        self._tell((), now_ns)
        if self.depth_survived:
            # It told its snapshot long ago, to books that are cleared by now.
            self.depth_survived = False
            for symbol_id in self.handshake.catalogue.traded_ids:
                self._errands.renew_depth(symbol_id, self.handshake.account)

    def advance(self, now_ns: int) -> None:
        """Go on to the next phase if everything this one asked is answered."""
        if not self._outbox.pending.any_of(Purpose.HANDSHAKE):
            self.enter(self._leave(self.phase, now_ns), now_ns)

    def _leave(self, phase: Phase, now_ns: int) -> Phase:
        if phase is Phase.ACCOUNT_AUTH:
            self.token.accepted()
        for event in self.handshake.complete(phase, now_ns):
            self._emit(event)
        return self.handshake.next_phase(phase)

    # Back.

    def connection_lost(self, now_ns: int, reason: str) -> None:
        """Take the end of the link."""
        self._forget(now_ns, f"the connection was lost: {reason}", link_lives=False)
        self.depth_survived = False
        self.wants_disconnect = None
        self.phase = Phase.CLOSED
        self._tell(("disconnected", *_maintenance_reason(self.retry_at_ns)), now_ns)

    def account_lost(self, reason: str, now_ns: int, phase: Phase = Phase.ACCOUNT_AUTH) -> None:
        """Open the account's session again on the live connection, and go on as after a drop."""
        self._counters["account_losses"] += 1
        self._forget(now_ns, f"the account's session ended: {reason}", link_lives=True)
        self._tell(("account_disconnected",), now_ns)
        if not self.is_renewing:  # a refresh ends the sessions of the old token, and its answer is on its way
            self._losses_ns.append(now_ns)
        if len(self._losses_ns) == ACCOUNT_LOSS_LIMIT and now_ns - self._losses_ns[0] < ACCOUNT_LOSS_WINDOW_NS:
            # Asking again and again at once would only burn requests; a reconnect has a pause in it.
            self._losses_ns.clear()
            self.wants_disconnect = f"the account's session ended {ACCOUNT_LOSS_LIMIT} times within a minute: {reason}"
            return
        self.enter(phase, now_ns)

    def check_feed(self, request: CheckFeed) -> None:
        """Ask whether the account's session stands, or give the connection up: prices have stopped, nobody said why."""
        if request.reconnect:
            self.wants_disconnect = f"no prices for {request.quiet_s:.0f} s while a market is open"
        elif not self._outbox.pending.any_of(Purpose.SESSION_CHECK):
            self._outbox.send(Purpose.SESSION_CHECK, self.handshake.account_auth())

    def load_more_symbols(self, now_ns: int) -> None:
        """Go back for the details of a symbol that a position is held in since a moment ago."""
        self._forget(now_ns, "a position in another symbol has come; it is loaded first", link_lives=True)
        self.enter(Phase.DETAILS, now_ns)

    def fatal_code(self, code: str, description: str, now_ns: int) -> None:
        """Take a code that ends the run, unless it is only about the token, and another can be had."""
        if code not in TOKEN_CODES or not self.token.denied():
            self.fatal = Fatal(3, fatal_text(code, description))
        elif self.phase.needs_token:
            self._errands.forget(now_ns, "another token is needed", link_lives=True)
            self.enter(self.phase, now_ns)
        elif self.phase is not Phase.APPLICATION_AUTH:
            self.account_lost(f"{code} {description}".strip(), now_ns)
        elif not self._outbox.pending.any_of(Purpose.HANDSHAKE):
            # It answered the application's authentication, which shows no token: on this link there is nothing to ask.
            self.wants_disconnect = f"the application was refused: {fatal_text(code, description)}"

    def maintenance(self, error: Any, now_ns: int) -> None:
        """Leave, and come back when the venue says that it is over."""
        end_ns = maintenance_end_ns(error)
        until = ""
        if end_ns is not None and end_ns > now_ns:
            self.retry_at_ns = min(end_ns, now_ns + LONGEST_MAINTENANCE_NS)
            until = f" until {_utc(end_ns)}"
        self.wants_disconnect = f"the venue is under maintenance{until} (SERVER_IS_UNDER_MAINTENANCE)"

    def turned_away(self, name: str, error: Any, now_ns: int) -> None:
        """Leave: without this request the session cannot go on, and it was refused."""
        code, description = text(error.errorCode), text(error.description)
        said = f"{code}: {description}" if description else code
        self.wants_disconnect = f"{name} was refused: {rule_for(code, description).meaning} ({said})"
        if code == CONNECTIONS_LIMIT:
            self.retry_at_ns = now_ns + CONNECTIONS_PAUSE_NS

    def _forget(self, now_ns: int, why: str, *, link_lives: bool) -> None:
        if self.phase is Phase.READY:
            self.last_loss = why
        if self.is_renewing and not link_lives:
            self.token.refusal = Refusal(why, is_final=False)
        self._errands.forget(now_ns, why, link_lives=link_lives)

    # The token.

    def token_step(self, step: TokenStep) -> None:
        """Take what was found out about the token that is wanted."""
        self.token.refusal = None
        refresh_token = self.token.pair.refresh_token
        if step.step == "lost" or (step.step == "renew" and refresh_token is None):
            if self.token.need is not None:  # or it has come after all
                self.fatal = Fatal(3, step.text)
        elif step.step == "use" and step.pair is not None:
            self.token.take(step.pair, renewed=step.renewed)
            self.token_changed(step.recv_ns)
        elif self.is_deaf or self.phase is Phase.APPLICATION_AUTH:
            self.token.refusal = Refusal("the connection was lost before the venue could be asked", is_final=False)
        else:
            question = self.handshake.token_renewal(str(refresh_token))
            self._renewal_ids.append(self._outbox.send(Purpose.TOKEN_RENEWAL, question))

    def has_asked_renewal(self, message_id: str) -> bool:
        """Return whether an id is that of one of our last renewals, answered or given up."""
        return message_id in self._renewal_ids

    @property
    def is_renewing(self) -> bool:
        """Whether the venue has been asked for a new pair on this link, and has not answered."""
        return self._outbox.pending.any_of(Purpose.TOKEN_RENEWAL)

    def token_refused(self, why: str, now_ns: int, *, is_final: bool) -> None:
        """Take that the venue gave no new pair; what waited for it goes on with the old one while that is good."""
        self.token.refusal = Refusal(why, is_final=is_final)
        if self.phase.needs_token and self.reasons == ("refreshing_token",) and not self.token.is_awaited:
            self.enter(self.phase, now_ns)

    def token_renewed(self, reply: Any, now_ns: int) -> None:
        """Take the venue's ProtoOARefreshTokenRes, late or not: the pair before is dead."""
        expires_ns = now_ns + reply.expiresIn * _SECOND_NS if reply.expiresIn > 0 else None
        pair = TokenPair(text(reply.accessToken), text(reply.refreshToken), expires_ns)
        self.token.fresh = pair
        self.token.take(pair, renewed=True)
        self.token_changed(now_ns)

    def token_changed(self, now_ns: int) -> None:
        """Go on with another token: where it was waited for, or by asking whether the account's session still stands.

        Whether a refresh ends the sessions of the old token, and whether it says so, is not documented.
        """
        self.handshake.access_token = self.token.pair.access_token
        self._losses_ns.clear()
        if self.is_deaf or self.phase is Phase.APPLICATION_AUTH:
            return
        if self.phase.needs_token:
            self._errands.forget(now_ns, "another token is used", link_lives=True)
            self.enter(Phase.ACCOUNT_LIST, now_ns)
        else:
            self._outbox.send(Purpose.SESSION_CHECK, self.handshake.account_auth())

    def _tell(self, reasons: tuple[str, ...], now_ns: int) -> None:
        if reasons != self.reasons:
            self.reasons = reasons
            self._emit(ReadinessChanged(now_ns, reasons))


def _maintenance_reason(retry_at_ns: int | None) -> tuple[str, ...]:
    return () if retry_at_ns is None else (f"waiting_until:{_utc(retry_at_ns)}",)


def _utc(time_ns: int) -> str:
    return datetime.fromtimestamp(min(time_ns // _SECOND_NS, _LAST_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
