"""How a run begins and ends: its limits, the exit codes that it decides itself, and one line for a person."""

from dataclasses import dataclass

EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_HALTED, EXIT_INTERRUPTED = 0, 1, 4, 5, 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: an exit code of the contract, and one line when it is not 0."""

    exit_code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """How a run begins and ends. Units: seconds; `seconds` counts from the first READY, None for no end."""

    connect_timeout_s: float
    seconds: float | None
    exit_on_halt: bool
