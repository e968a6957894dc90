"""Tells of a connection that stays away, of one that is back, and of an access token that nobody renews."""

from collections.abc import Iterator

from bot.alerts.alert import Alert
from bot.alerts.composer import Composer, date_time
from bot.ctrader.session import Session
from bot.ctrader.token import AHEAD_NS, AHEAD_SHARE, TokenPair
from bot.engine.decision import Decision, EngineState
from bot.engine.observed import ObservedEngine

STOPPED_KEY = "halted:stopped"
_GONE, _TOKEN = "disconnected", "token_expiry"
_DAY_NS = 86_400_000_000_000
# Before the end of a token that a person has to renew: told at the config's days, and then again.
_AGAIN_NS = (_DAY_NS, _DAY_NS // 12)
# A bot that falls over again and again is not ready in between.
_STEADY_NS = 60_000_000_000


class ConnectionRule:
    """Watches READY, from the first one on. Units: `limit_ns` ns without it before that is told."""

    def __init__(self, engine: ObservedEngine, composer: Composer, limit_ns: int) -> None:
        self._engine = engine
        self._composer = composer
        self._limit_ns = limit_ns
        self._state: EngineState | None = None
        self._was_ready = self._is_told = self._is_first_told = False
        self._lost_ns: int | None = None
        self._ready_ns: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the session stands."""
        return self._state is not None and self._state.ready

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield that the connection is away for too long, and that it is back."""
        self._state = decision.state or self._state
        now_ns = decision.now_ns
        if self.is_ready:
            self._was_ready = True
            self._ready_ns = now_ns if self._ready_ns is None else self._ready_ns
            if self._is_told and self._lost_ns is not None:
                yield self._back(now_ns - self._lost_ns, now_ns)
            self._lost_ns, self._is_told = None, False
            if not self._is_first_told and now_ns - self._ready_ns >= _STEADY_NS:
                self._is_first_told = True
                yield self._first(now_ns)
        elif self._was_ready:
            self._ready_ns = None
            self._lost_ns = now_ns if self._lost_ns is None else self._lost_ns
            if not self._is_told and now_ns - self._lost_ns >= self._limit_ns:
                self._is_told = True
                yield self._away(now_ns - self._lost_ns, now_ns)

    def _away(self, for_ns: int, now_ns: int) -> Alert:
        composer, state = self._composer, self._state
        assert state is not None
        why = composer.reason(state.reasons[0], state.texts[0]) if state.reasons else composer.say("unknown")
        text = composer.say("disconnected.text", lasted=composer.lasted(for_ns), why=why)
        return composer.alert(_GONE, _GONE, "failure", composer.say("disconnected.title"), text, now_ns, lasts=True)

    def _back(self, after_ns: int, now_ns: int) -> Alert:
        composer = self._composer
        text = composer.say("connected.text", lasted=composer.lasted(after_ns))
        title = composer.say("connected.title")
        return composer.alert(_GONE, f"{_GONE}:over", "success", title, text, now_ns, ends=(_GONE,))

    def _first(self, now_ns: int) -> Alert:
        # For those whom an earlier run has told that it stopped.
        composer = self._composer
        text = composer.say("ready.text", trading=composer.say(self._engine.trading))
        ends = (STOPPED_KEY, _GONE)
        return composer.alert("halted", "halted:ready", "success", composer.say("ready.title"), text, now_ns, ends=ends)


class TokenRule:
    """Watches the end of the access token in use. Units: `ahead_ns` ns before it from which on that is told.

    A token that the bot renews by itself is told of when half of the time set aside for that is over.
    """

    def __init__(self, session: Session, composer: Composer, ahead_ns: int) -> None:
        self._session = session
        self._composer = composer
        self._ahead_ns = ahead_ns
        self._pair: TokenPair | None = None
        self._steps_ns: tuple[int, ...] = ()
        self._step = -1  # the last that was told

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield that the token's end has come near, and that there is another token."""
        pair, now_ns = self._session.token.pair, decision.now_ns
        if pair is not self._pair:
            was_told, self._pair, self._step = self._step >= 0, pair, -1
            self._steps_ns = self._steps(pair, now_ns)
            if was_told and pair.expires_ns is not None and pair.expires_ns > now_ns:
                yield self._renewed(pair.expires_ns, now_ns)
        if pair.expires_ns is None:
            return
        left_ns = pair.expires_ns - now_ns
        step = sum(left_ns <= each for each in self._steps_ns) - 1
        if step > self._step:
            self._step = step
            yield self._near(pair.expires_ns, left_ns, step, now_ns)

    @property
    def _renews_itself(self) -> bool:
        pair = self._pair
        return self._session.plan.renewable and pair is not None and pair.refresh_token is not None

    def _steps(self, pair: TokenPair, now_ns: int) -> tuple[int, ...]:
        if pair.expires_ns is None:
            return ()
        first_ns = self._ahead_ns
        if self._renews_itself:
            own_ns = min(AHEAD_NS, max(0, pair.expires_ns - now_ns) // AHEAD_SHARE)
            first_ns = min(first_ns, own_ns // 2)
        return (first_ns, *(each for each in _AGAIN_NS if each < first_ns), 0)

    def _near(self, expires_ns: int, left_ns: int, step: int, now_ns: int) -> Alert:
        composer = self._composer
        if left_ns <= 0:
            text = composer.say("token_expired.text")
        else:
            how = "failing" if self._renews_itself else "text"
            figures = {"left": composer.lasted(left_ns), "until": date_time(expires_ns)}
            text = composer.say(f"token_expiry.{how}", **figures)
        title = composer.say("token_expiry.title")
        return composer.alert(_TOKEN, f"{_TOKEN}:{step}", "warning", title, text, now_ns, lasts=True)

    def _renewed(self, expires_ns: int, now_ns: int) -> Alert:
        composer = self._composer
        text = composer.say("token_renewed.text", until=date_time(expires_ns))
        ends = tuple(f"{_TOKEN}:{step}" for step in range(len(_AGAIN_NS) + 2))
        title = composer.say("token_renewed.title")
        return composer.alert(_TOKEN, f"{_TOKEN}:over", "success", title, text, now_ns, ends=ends)
