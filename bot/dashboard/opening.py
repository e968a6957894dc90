"""A file that leads a browser to the dashboard, so that the token is on no command line."""

import html
import os
import tempfile
from pathlib import Path


class OpeningFile:
    """A page on disk that only this user can read and that goes on to a link. Take it away when somebody has come."""

    def __init__(self, link: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="microlev-dashboard-")
        self.path = Path(self._folder.name) / "open.html"
        to = html.escape(link, quote=True)
        page = (
            '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>microlev</title>'
            f'<meta http-equiv="refresh" content="0;url={to}"><a href="{to}">microlev</a>'
        )
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(page)

    def remove(self) -> None:
        """Take the file away; a second time is nothing."""
        self._folder.cleanup()
