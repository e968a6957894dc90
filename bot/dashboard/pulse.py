"""The page's own pulse: the browser says by itself when its server has gone quiet; and the switch of light and dark."""

from collections.abc import Callable
from typing import Any

from nicegui.element import Element

from bot.dashboard.scene import OLD_S
from bot.dashboard.words.catalogue import Words


class Pulse(Element, component="pulse.js"):
    """Beats with every look. Where no beat comes for `OLD_S`, the browser marks everything as old.

    Args: `on_kept` is called with the symbol that this tab showed before it was loaded anew, if there is one: a phone
        that slept, or another language, is no reason to look at another symbol.
    """

    def __init__(self, words: Words, on_kept: Callable[[str], Any]) -> None:
        super().__init__()
        self._props["lost"] = words("page_lost")
        self._props["switch"] = words("theme")
        self._props["language"] = words.language
        self._props["limit"] = OLD_S
        self._props["beat"] = 0
        self._props["symbol"] = None
        self.on("kept", lambda event: on_kept(event.args) if isinstance(event.args, str) else None)

    def beat(self, *, is_old: bool, symbol: str | None = None) -> None:
        """Say that the server is there, whether what it shows is old, and which symbol was chosen."""
        self._props["symbol"] = symbol
        self._props["old"] = is_old
        self._props["beat"] = self._props["beat"] + 1
