"""The one page: panels of one feed for one browser, looked at again four times a second.

How it works: a look makes a scene of what the feed has and what this visitor has chosen, and each panel a tree of it;
only what differs from what the browser shows is sent. What a visitor does comes back as an act: `symbol:EURUSD`.

Invariant: a snapshot that cannot be shown ends no page: the one before it stays, as old, and the page says why.
"""

import logging
from collections.abc import Callable
from typing import Any

from nicegui import ui

from bot.dashboard.command_dialog import CommandDialog
from bot.dashboard.feed import COMMANDS, Feed
from bot.dashboard.heat_map import HeatMap
from bot.dashboard.panels.account import account
from bot.dashboard.panels.events import KINDS, events
from bot.dashboard.panels.fills import fills
from bot.dashboard.panels.head import head, standing
from bot.dashboard.panels.heat import title as heat_title
from bot.dashboard.panels.ladder import ladder
from bot.dashboard.panels.leverage import leverage
from bot.dashboard.panels.market import market
from bot.dashboard.panels.orders import orders
from bot.dashboard.panels.picker import picker
from bot.dashboard.panels.playback import SPEEDS, playback
from bot.dashboard.panels.positions import positions
from bot.dashboard.pulse import Pulse
from bot.dashboard.scene import Scene
from bot.dashboard.style import SHEET
from bot.dashboard.trail import MALFORMED
from bot.dashboard.tree import Node, Tree
from bot.dashboard.words.catalogue import Words

LOOK_S = 0.25
_log = logging.getLogger(__name__)
_EVER_NEW = (head, standing)
"""These say how old the snapshot is, and how much of a journal has been read: new without a new snapshot."""


def build_page(feed: Feed, language: str) -> "Page":
    """Build the page of one browser inside the current slot; it looks at the feed by itself from then on."""
    page = Page(feed, language)
    page.look()
    ui.timer(LOOK_S, page.look)
    return page


class _Slider(ui.slider):
    LOOPBACK = False  # moved at once where it is, and not only when the server has heard: quick keys would be lost


class Page:
    """The page of one browser. `look` shows what the feed has now; `act` takes what the visitor does."""

    def __init__(self, feed: Feed, language: str) -> None:
        self._feed, self._words = feed, Words(language)
        self._symbol: str | None = None
        self._events = "all"
        self._seen: tuple[dict[str, Any] | None, tuple[Any, ...]] | None = None
        self._shown: dict[str, Any] | None = None
        self._not_shown: dict[str, Any] | None = None
        self._has_told = False
        self._panels: list[tuple[Tree, Callable[[Scene], Node]]] = []
        self._slider: ui.slider | None = None
        self._playback: Tree | None = None
        words = self._words
        ui.page_title(words("title"))
        ui.add_css(SHEET)
        self._pulse = Pulse(words, self._keep)
        self._panel(head, "top")
        if feed.kind == "journal":
            self._build_playback()
        self._panel(standing, "standing-row")
        self._panel(account, "account-row")
        self._panel(picker, "picker-row")
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("left"):
                self._panel(ladder)
            with ui.element("div").classes("middle"):
                with ui.element("section").classes("panel heat").props('data-testid="panel:heat"'):
                    self._heat_name = Tree()
                    self.heat_map = HeatMap(self.look)
                self._panel(market)
            with ui.element("div").classes("right"):
                self._panel(leverage)
        with ui.element("div").classes("tables"):
            with ui.element("div"):
                self._panel(positions)
                self._panel(fills)
            with ui.element("div"):
                self._panel(orders)
                self._panel(events)
        self.dialog = CommandDialog(words, self.scene, feed)

    def _panel(self, panel: Callable[[Scene], Node], classes: str = "") -> None:
        tree = Tree(self.act)
        if classes:
            tree.classes(classes)
        self._panels.append((tree, panel))

    def _build_playback(self) -> None:
        with ui.element("div").classes("panel playback-row"):
            self._playback = Tree(self.act)
            self._slider = _Slider(min=0, max=1, step=1, value=0, on_change=lambda event: self._slid(event.value))
            self._slider.props(f'aria-label="{self._words("slider")}" data-testid="slider"').classes("slider")
            self._slider.on("keydown.home.prevent", lambda: self._slid(0))
            self._slider.on("keydown.end.prevent", lambda: self._slid(len(self._feed.times_ns) - 1))

    # -- looking --

    def scene(self) -> Scene:
        """Return what there is to see now."""
        feed = self._feed
        snapshot, trouble = feed.snapshot, feed.trouble
        if snapshot is not None and snapshot is self._not_shown:
            snapshot, trouble = self._shown, trouble or ("not_understood" if feed.kind == "live" else "unreadable")
        return Scene(
            words=self._words,
            snapshot=snapshot,
            kind=feed.kind,
            trail=feed.trail,
            symbol=self._symbol,
            events_shown=self._events,
            trouble=trouble,
            received_s=feed.received_s,
            read_frac=feed.read_frac if feed.kind == "journal" else None,
            playing=feed.playing if feed.kind == "journal" else False,
            speed=feed.speed if feed.kind == "journal" else 1.0,
        )

    def look(self) -> None:
        """Show what the feed has now."""
        try:
            self._show(self.scene())
        except MALFORMED:
            if not self._has_told:
                self._has_told = True
                _log.warning("a snapshot could not be shown", exc_info=True)
            self._not_shown = self._feed.snapshot
            self._show(self.scene())

    def _show(self, scene: Scene) -> None:
        state = scene.symbol, scene.events_shown, scene.trouble, scene.is_old, scene.trail.version, scene.trail.added
        is_news = self._seen is None or scene.snapshot is not self._seen[0] or state != self._seen[1]
        self._seen = scene.snapshot, state
        for tree, panel in self._panels:
            if is_news or panel in _EVER_NEW:
                tree.show(panel(scene))
        self._heat_name.show(heat_title(scene))
        self.heat_map.show(scene)
        self._look_at_place(scene)
        self.dialog.look()
        self._pulse.beat(is_old=scene.is_old, symbol=self._symbol)
        self._shown = scene.snapshot

    def _look_at_place(self, scene: Scene) -> None:
        if self._slider is None or self._playback is None:
            return
        count = len(self._feed.times_ns)
        self._playback.show(playback(scene, self._feed.place, count))
        last = max(count - 1, 1)
        if self._slider.props["max"] != last:
            self._slider.props["max"] = last
        if self._slider.value != self._feed.place:
            self._slider.value = self._feed.place

    # -- what the visitor does --

    def act(self, what: str) -> None:
        """Do what a button says: `ask:halt`, `symbol:NAME`, `events:KIND`, `play:on`, `speed:2`; else nothing."""
        kind, _, choice = what.partition(":")
        acts: dict[str, Callable[[str], Any]] = {
            "ask": self._ask,
            "symbol": self._choose,
            "events": self._filter,
            "play": self._play,
            "speed": self._set_speed,
        }
        if kind in acts:
            acts[kind](choice)
            self.look()

    def _ask(self, command: str) -> None:
        if command in COMMANDS and self._feed.kind == "live":
            self.dialog.ask(command)

    def _choose(self, symbol: str) -> None:
        if any(each["symbol"] == symbol for each in self.scene().traded):
            self._symbol = symbol

    def _keep(self, symbol: str) -> None:
        # Of a run that has it no more, or not yet, the first is shown.
        if self._symbol is None:
            self._symbol = symbol
            self.look()

    def _filter(self, kind: str) -> None:
        if kind in KINDS:
            self._events = kind

    def _play(self, choice: str) -> None:
        if self._feed.kind == "journal":
            self._feed.play(choice == "on")

    def _set_speed(self, choice: str) -> None:
        if self._feed.kind == "journal" and choice in {f"{speed:g}" for speed in SPEEDS}:
            self._feed.speed = float(choice)

    def _slid(self, place: float | None) -> None:
        # The slider also says so when it was moved by a look.
        if place is not None and int(place) != self._feed.place:
            self._feed.seek(int(place))
            self.look()
