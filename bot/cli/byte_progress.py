"""How far a file has been read: a bar, bytes, rate and time left, on a terminal only."""


class ByteProgress:
    """Shows itself on standard error while it is entered, and leaves nothing behind."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        console = Console(stderr=True)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._shown.add_task("", total=None)

    def __enter__(self) -> "ByteProgress":
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.stop()

    def __call__(self, bytes_read: int, bytes_total: int) -> None:
        """Show that so much of it has been read."""
        self._shown.update(self._task, completed=bytes_read, total=bytes_total)
