"""What may be done with the account: trade freely, only reduce, or nothing new at all; each with its causes.

How it works: whoever finds a limit reached calls `hold` with a cause, and `release` when its own rule says that it is
over. The worst of the standing causes is the state. A cause with an end ends by itself; the others wait for their rule
or for a person.

Invariant: a cause never makes another one milder, and nothing but its own rule, its end or a person takes it away.
"""

from dataclasses import dataclass

LEVELS = ("active", "reducing", "halted")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why trading is not free.

    `level` is `reducing` (what is held may shrink and nothing grow) or `halted` (the same, and it takes a person or the
    next trading day); `flattens` closes what is ours as well; `by_limit` says that a limit of the config did it, not a
    person. `text` is for people, with the numbers; `value` and `limit` are those numbers, for who says them in other
    words, and `note` what somebody else has given as the reason.
    Units: times ns; numbers as the limit in the config.
    Missing: `until_ns` None for one that does not end by itself; numbers None where it has none.
    """

    code: str
    level: str
    text: str
    since_ns: int
    until_ns: int | None = None
    flattens: bool = False
    by_limit: bool = False
    value: float | None = None
    limit: float | None = None
    note: str = ""


class Trading:
    """The causes that stand. `version` grows with every change.

    `causes` are those that stand, the oldest first; `state` is active, reducing or halted; `is_flattening` says that
    one of them asks for everything of ours to be closed.
    """

    def __init__(self) -> None:
        self.version = 0
        self._causes: dict[str, Cause] = {}
        self._look()

    def hold(self, cause: Cause) -> bool:
        """Let a cause stand; return whether that is news. One of the same code is replaced, never made milder."""
        if cause.level not in LEVELS[1:]:
            raise ValueError(f"a cause is reducing or halted, not {cause.level!r}")
        before = self._causes.get(cause.code)
        if before is not None:
            is_milder = LEVELS.index(cause.level) < LEVELS.index(before.level)
            is_shorter = before.until_ns is None and cause.until_ns is not None
            if is_milder or is_shorter or (before.flattens and not cause.flattens):
                return False
            if (before.level, before.flattens, before.text) == (cause.level, cause.flattens, cause.text):
                if before.until_ns == cause.until_ns:
                    return False
                self._causes[cause.code] = cause
                self._look()
                return False
        self._causes[cause.code] = cause
        self._changed()
        return True

    def release(self, code: str) -> bool:
        """Take a cause away; return whether it stood."""
        if self._causes.pop(code, None) is None:
            return False
        self._changed()
        return True

    def _changed(self) -> None:
        self.version += 1
        self._look()

    def _look(self) -> None:
        # Read many times a decision, changed a few times a day.
        self.causes = tuple(self._causes.values())
        self.state = max((c.level for c in self.causes), key=LEVELS.index, default=LEVELS[0])
        self.is_flattening = any(c.flattens for c in self.causes)

    def expire(self, now_ns: int, *, is_flat: bool) -> list[Cause]:
        """Take away what has ended by now, and return it.

        Args: `is_flat` that nothing of ours is open: a cause that flattens does not end before.
        """
        ended = [
            c for c in self.causes if c.until_ns is not None and c.until_ns <= now_ns and (is_flat or not c.flattens)
        ]
        for cause in ended:
            self.release(cause.code)
        return ended

    def find(self, code: str) -> Cause | None:
        """Return the cause of a code, or None."""
        return self._causes.get(code)

    @property
    def text(self) -> str:
        """The gravest cause in words, the oldest of those; empty while trading is free."""
        return next((c.text for c in self.causes if c.level == self.state), "")

    @property
    def is_halted_by_limit(self) -> bool:
        """Whether a limit of the config, not a person, has halted trading."""
        return any(c.by_limit and c.level == "halted" for c in self.causes)
