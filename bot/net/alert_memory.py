"""What was told of late, over runs: a bot that is started again every ten seconds is not to fill a phone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from bot.alerts.pacing import Pacing

FILE_NAME = "alerts.json"


class AlertMemory:
    """Keeps the memory of a `Pacing` in the state folder. It costs a repeated message when that fails, and no more.

    Args: `tell` takes a line about trouble, once.
    """

    def __init__(self, folder: Path, pacing: Pacing, tell: Callable[[str], None]) -> None:
        self._path = folder / FILE_NAME
        self._pacing = pacing
        self._tell = tell
        self._is_told = False

    def read(self, now_ns: int) -> None:
        """Let the pacing take what an earlier run has kept."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it should hold one JSON object")
            self._pacing.restore(content, now_ns)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._trouble(f"what it says of earlier alerts cannot be used ({error}); begun anew")

    def write(self) -> None:
        """Keep what the pacing knows."""
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps(self._pacing.memory()), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError as error:
            self._trouble(f"which alerts were sent cannot be kept: {error.strerror or error}")

    def _trouble(self, text: str) -> None:
        if not self._is_told:
            self._tell(f"{self._path}: {text}")
        self._is_told = True
