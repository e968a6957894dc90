"""What an examination finds: checks with a verdict, and measurements without one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("ok", "warn", "fail", "unknown")

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_AUTHORISED, EXIT_UNREACHABLE = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `exit_code` is what the command ends with if this is the first that fails."""

    name: str
    result: Verdict
    text: str
    value: Any = None
    exit_code: int = EXIT_FAILED


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something seen that no document promises. `value` None: it could not be seen this time."""

    name: str
    value: Any
    text: str


Finding = Check | Measurement


class Findings:
    """All findings in their order; `tell` is given each at once."""

    def __init__(self, tell: Callable[[Finding], None]) -> None:
        self._tell = tell
        self.all: list[Finding] = []

    def check(
        self, name: str, result: Verdict, text: str, value: Any = None, *, exit_code: int = EXIT_FAILED
    ) -> Verdict:
        """Note a check and return its result."""
        self._note(Check(name, result, text, value, exit_code))
        return result

    def seen(self, name: str, value: Any, text: str) -> None:
        """Note a measurement."""
        self._note(Measurement(name, value, text))

    @property
    def checks(self) -> list[Check]:
        """The checks alone."""
        return [finding for finding in self.all if isinstance(finding, Check)]

    def result_of(self, name: str) -> Verdict | None:
        """Return the result of a check by name; None when it was not made."""
        return next((check.result for check in self.checks if check.name == name), None)

    def counts(self) -> dict[str, int]:
        """Return how many checks had each result."""
        return {verdict: sum(1 for check in self.checks if check.result == verdict) for verdict in VERDICTS}

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, else the exit code of the first failure."""
        return next((check.exit_code for check in self.checks if check.result == "fail"), 0)

    def _note(self, finding: Finding) -> None:
        self.all.append(finding)
        self._tell(finding)
