"""What the page remembers of the snapshots before the newest."""

from typing import Any


class Trail:
    """The snapshots of late."""

    def add(self, snapshot: dict[str, Any]) -> None:
        """Take one snapshot."""

    def clear(self) -> None:
        """Forget everything."""
