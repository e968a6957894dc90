"""The page's own pulse: the browser says by itself when its server has gone quiet; and the switch of light and dark."""

from nicegui.element import Element

from bot.dashboard.scene import OLD_S
from bot.dashboard.words.catalogue import Words


class Pulse(Element, component="pulse.js"):
    """Beats with every look. Where no beat comes for `OLD_S`, the browser marks everything as old."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._props["lost"] = words("page_lost")
        self._props["switch"] = words("theme")
        self._props["language"] = words.language
        self._props["limit"] = OLD_S
        self._props["beat"] = 0

    def beat(self, *, is_old: bool) -> None:
        """Say that the server is there, and whether what it shows is old."""
        self._props["old"] = is_old
        self._props["beat"] = self._props["beat"] + 1
