"""How a run ends: the exit codes of the contract that a run itself decides, and one line for a person."""

from dataclasses import dataclass

EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_HALTED, EXIT_INTERRUPTED = 0, 1, 4, 5, 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: an exit code of the contract, and one line when it is not 0."""

    exit_code: int
    text: str = ""
