"""Makes alerts: words of one language with figures and units, short enough for a phone, and with whose bot it is."""

import math
from datetime import UTC, datetime

from bot.account.trading import Cause
from bot.alerts.alert import Alert, Severity
from bot.alerts.redaction import Redaction
from bot.alerts.words import ACTIONS, BARE_CAUSES, CAUSE_ENDS, CAUSE_NUMBERS, CAUSES, REASONS, STATES, words

LONGEST_TEXT = 400
_SECOND = 1_000_000_000
_SIGNS = str.maketrans("<>[]@&", "\u2039\u203a()\uff20\uff06")
_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class Composer:
    """Composes the alerts of one run.

    Args: `language` is `en` or `ja`; `account` None where the config does not say; `redaction` knows what no text may
        hold.
    """

    def __init__(
        self, language: str, redaction: Redaction, *, account: int | None, environment: str, mode: str
    ) -> None:
        self._redaction = redaction
        self._words = words(language)
        self._language = language
        whose = self._words["who_unknown"] if account is None else account
        self._who = self._words["who"].format(account=whose, environment=environment, mode=mode)

    def alert(
        self,
        event: str,
        key: str,
        severity: Severity,
        title: str,
        text: str,
        time_ns: int,
        *,
        symbol: str | None = None,
        lasts: bool = False,
        ends: tuple[str, ...] = (),
    ) -> Alert:
        """Return an alert whose title says whose bot it is, and whose text ends with the time."""
        title, text = self._shown(f"{self._who}: {title}"), self._shown(text)
        return Alert(event, key, severity, title, f"{text}\n{clock_time(time_ns)} UTC", time_ns, symbol, lasts, ends)

    def _shown(self, text: str) -> str:
        # Before it is cut, or a part of a secret would be left; and after, as white space may have torn one.
        return cut(plain(self._redaction.text(one_line(self._redaction.text(text)))))

    def say(self, key: str, **figures: object) -> str:
        """Return the words of a key with its figures."""
        return self._words[key].format(**figures)

    def count(self, not_sent: int, time_ns: int) -> Alert:
        """Return the message that says how many were not sent, when nothing else can say so."""
        text = self.say("count.text", count=not_sent)
        return self.alert("count", "count", "info", self.say("count.title"), text, time_ns)

    def with_count(self, alert: Alert, not_sent: int) -> tuple[str, str]:
        """Return an alert's title and text, with how many before it were not sent."""
        more = f" ({self.say('not_sent', count=not_sent)})" if not_sent else ""
        return alert.title, alert.text + more

    def cause(self, cause: Cause) -> str:
        """Return why trading is not free, in a sentence with its numbers."""
        if self._language == "en":
            return cause.text[:1].upper() + cause.text[1:]
        name, numbers = self.cause_name(cause.code), CAUSE_NUMBERS.get(cause.code)
        if name == cause.code:
            return cause.text
        parts = [f"理由：{cause.note}"] if cause.note else []
        if numbers is not None and cause.value is not None and cause.limit is not None:
            parts.insert(0, numbers.format(value=cause.value, limit=cause.limit))
        told = "、".join(parts)
        if cause.code not in CAUSE_ENDS or not (told or cause.code in BARE_CAUSES):
            # The engine's sentence has the numbers; a name without them would be half the news.
            return f"{name}（{cause.text}）"
        named = f"{name}（{told}）" if told else name
        return self.say("cause.then", text=named, more=CAUSE_ENDS[cause.code])

    def cause_name(self, code: str) -> str:
        """Return a cause's short name; its code when it has none."""
        return CAUSES[self._language].get(code, code)

    def reason(self, code: str, text: str) -> str:
        """Return why the session is not ready. Args: `code` of the engine, `text` its own words."""
        return text if self._language == "en" else REASONS.get(code.partition(":")[0], text)

    def action(self, action: str) -> str:
        """Return an order's action."""
        return action if self._language == "en" else ACTIONS.get(action, action)

    def state(self, state: str) -> str:
        """Return an order's state."""
        return state.replace("_", " ") if self._language == "en" else STATES.get(state, state)

    def lasted(self, ns: int) -> str:
        """Return a length of time in its largest fitting unit: 59 s, 5 min, 3 h, 2 days."""
        seconds = max(ns, 0) // _SECOND
        for name, length in _UNITS:
            if seconds >= 2 * length or name == "seconds":
                return self.say(name, count=seconds // length)
        raise AssertionError

    def number(self, figure: float, form: str = ".2f") -> str:
        """Return a figure, or that it is unknown."""
        return format(figure, form) if math.isfinite(figure) else self.say("unknown")

    def money(self, figure: float, currency: str, *, signed: bool = False) -> str:
        """Return money with its currency."""
        shown = self.number(figure, "+,.2f" if signed else ",.2f")
        return f"{shown} {currency}" if math.isfinite(figure) else shown


def one_line(text: str) -> str:
    """Return a text as one line of characters that can be shown."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def plain(line: str) -> str:
    """Return a line without the signs of HTML, Markdown and mentions.

    Channels read them, and much of a text is a broker's: a tag that is not closed has Telegram refuse the message, a
    link may show another address than it leads to, and `@everyone` wakes everyone.
    """
    return line.translate(_SIGNS)


def cut(line: str) -> str:
    """Return a line, cut where it is too long for a phone."""
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def clock_time(ns: int) -> str:
    """Return a moment's time of day, UTC."""
    return datetime.fromtimestamp(ns // _SECOND, UTC).strftime("%H:%M:%S")


def date_time(ns: int) -> str:
    """Return a moment to the minute, UTC."""
    return datetime.fromtimestamp(ns // _SECOND, UTC).strftime("%Y-%m-%d %H:%M")
