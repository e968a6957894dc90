"""Tells when trading is halted, or limited to reductions, and when that is over; and of a leverage that was lowered."""

from collections.abc import Iterator

from bot.account.trading import Cause
from bot.alerts.alert import Alert, Severity
from bot.alerts.composer import Composer
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine

HALTED, LIMITED = "halted", "limit_tightened"
_LEVERAGE_KEY = f"{LIMITED}:leverage"


class CauseRule:
    """Watches the causes that stand against free trading."""

    def __init__(self, engine: ObservedEngine, composer: Composer) -> None:
        self._engine = engine
        self._composer = composer
        self._stood: dict[str, Cause] = {}

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield what is new of the causes."""
        stood, self._stood = self._stood, {cause.code: cause for cause in self._engine.causes}
        for code, cause in self._stood.items():
            before = stood.get(code)
            if before is None or _key(before) != _key(cause):
                yield self._began(cause, decision.now_ns)
        for code, cause in stood.items():
            if code not in self._stood:
                yield self._over(cause, decision.now_ns)

    def _began(self, cause: Cause, now_ns: int) -> Alert:
        composer, is_halted = self._composer, cause.level == "halted"
        text = composer.say("cause.text", cause=composer.cause(cause))
        if cause.flattens and "being closed" not in text:
            text = composer.say("cause.then", text=text.rstrip(".。"), more=composer.say("cause.flattens"))
        title = composer.say("halted.title" if is_halted else "limited.title")
        severity: Severity = "failure" if is_halted else "warning"
        return composer.alert(_event(cause), _key(cause), severity, title, text, now_ns, lasts=True)

    def _over(self, cause: Cause, now_ns: int) -> Alert:
        composer, event = self._composer, _event(cause)
        title = composer.say(f"over.{self._engine.trading}")
        text = composer.say("over.text", cause=composer.cause_name(cause.code))
        ends = tuple(f"{e}:{cause.code}{how}" for e in (HALTED, LIMITED) for how in ("", ":flattens"))
        return composer.alert(event, f"{event}:{cause.code}:over", "success", title, text, now_ns, ends=ends)


def _event(cause: Cause) -> str:
    return HALTED if cause.level == "halted" else LIMITED


def _key(cause: Cause) -> str:
    return f"{_event(cause)}:{cause.code}{':flattens' if cause.flattens else ''}"


class LeverageRule:
    """Watches the leverage that the broker grants the account."""

    def __init__(self, engine: ObservedEngine, composer: Composer) -> None:
        self._engine = engine
        self._composer = composer
        self._last: float | None = None
        self._before: float | None = None  # it was lowered

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield that it was lowered, and that it is back."""
        account = self._engine.account
        now = None if account is None else account.leverage
        last = self._last
        if now is None or now == last:
            return
        self._last = now
        say, now_ns = self._composer.say, decision.now_ns
        if last is not None and now < last:
            self._before = self._before or last
            title = say("leverage_lowered.title")
            text = say("leverage_lowered.text", before=last, after=now)
            yield self._composer.alert(LIMITED, _LEVERAGE_KEY, "warning", title, text, now_ns, lasts=True)
        elif self._before is not None and now >= self._before:
            self._before = None
            title, text = say("leverage_restored.title"), say("leverage_restored.text", after=now)
            key = f"{_LEVERAGE_KEY}:over"
            yield self._composer.alert(LIMITED, key, "success", title, text, now_ns, ends=(_LEVERAGE_KEY,))
