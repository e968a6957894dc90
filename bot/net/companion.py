"""What lives beside a run for as long as it lasts, as its steering does."""

from typing import Protocol


class Companion(Protocol):
    """Starts when the engine has been told what it is to know first, and stops when the run is over."""

    def start(self) -> None:
        """The run begins."""

    def stop(self) -> None:
        """The run is over."""
