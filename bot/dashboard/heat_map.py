"""The heat map's element: a canvas that is sent the whole of a trail once, and then only what is new."""

from collections.abc import Callable
from typing import Any

from nicegui.element import Element

from bot.dashboard.panels import heat
from bot.dashboard.scene import Scene


class HeatMap(Element, component="heat_map.js"):
    """Draws depth over time. Args: `on_ready` is called once the browser can draw, and again after it lost its page."""

    def __init__(self, on_ready: Callable[[], Any]) -> None:
        super().__init__()
        self._sent: tuple[Any, ...] = ()
        self._count = 0
        self._is_ready = False
        self.on("ready", lambda: self._start(on_ready))

    def _start(self, on_ready: Callable[[], Any]) -> None:
        self._is_ready, self._sent = True, ()
        on_ready()

    def show(self, scene: Scene) -> None:
        """Draw a scene: everything where the symbol or the trail is another one, else what has been added."""
        each = scene.shown
        if not self._is_ready or each is None:
            return
        symbol = each["symbol"]
        what, count = (symbol, scene.trail.version, scene.words.language), scene.trail.count(symbol)
        new = count - self._count
        if what != self._sent or new > heat.COLUMNS:
            self.run_method("reset", heat.setup(scene, symbol), heat.columns(scene, symbol), heat.marks(scene, symbol))
        elif new > 0:
            self.run_method("add", heat.columns(scene, symbol, new), heat.marks(scene, symbol))
        self._sent, self._count = what, count
