"""The question before a command: nothing is sent before a second, deliberate click, and nothing twice.

Invariant: what came of a command is shown with that command, also when its question was left before the answer came,
and never in the question about another.
"""

from collections.abc import Callable
from typing import Literal

from nicegui import ui

from bot.dashboard.feed import Feed
from bot.dashboard.panels.confirmation import confirmation, outcome
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Tree, text_of
from bot.dashboard.words.catalogue import Words

LONGEST_REASON = 200


class CommandDialog:
    """Asks whether a command is meant, gives it to the feed once, and shows what came of it."""

    def __init__(self, words: Words, scene: Callable[[], Scene], feed: Feed) -> None:
        self._words, self._scene, self._feed = words, scene, feed
        self._command: str | None = None
        self._is_sent = False
        self._asked = 0
        with ui.dialog() as self.dialog, ui.element("div").classes("dialog"):
            self.dialog.on_value_change(lambda event: self._left() if not event.value else None)
            self.question = Tree()
            self.reason = ui.input(words("reason")).props(f"outlined dense maxlength={LONGEST_REASON}")
            self.reason.props('data-testid="reason"')
            self.result = Tree()
            with ui.element("div").classes("dialog-buttons"):
                self.cancel = ui.button(words("cancel"), on_click=self.close).props("flat no-caps color=none")
                self.cancel.props('data-testid="cancel"').classes("plain")
                self.confirm = ui.button(on_click=self.send).props("unelevated no-caps color=none")
                self.confirm.props('data-testid="confirm"').classes("confirm")

    def ask(self, command: str) -> None:
        """Open the question about `halt`, `resume` or `flatten`."""
        self._command, self._is_sent = command, False
        self.dialog.props["aria-label"] = self._words(f"{command}_question")
        self._asked += 1
        self.reason.value = ""
        self.reason.set_visibility(command != "resume")
        self.confirm.set_visibility(True)
        self.confirm.text = self._words(f"{command}_confirm")
        self.confirm.props(f"data-command={command}")
        self.cancel.text = self._words("cancel")
        self.result.show(["p", {}, []])
        self.look()
        self.dialog.open()

    def look(self) -> None:
        """Keep what would be closed up to date while the question is open."""
        if self._command is not None and not self._is_sent:
            self.question.show(confirmation(self._scene(), self._command))

    async def send(self) -> None:
        """Give the command, once, however often the button is pressed."""
        command = self._command
        if command is None or self._is_sent:
            return
        self._is_sent, asked = True, self._asked
        self.confirm.set_visibility(False)
        self.reason.set_visibility(False)
        self.result.show(outcome(self._words, None, ""))
        done, text = await self._feed.command(command, (self.reason.value or "")[:LONGEST_REASON])
        told = outcome(self._words, done, text)
        if asked == self._asked and self.dialog.value:
            self.cancel.text = self._words("close_dialog")
            self.result.show(told)
        else:
            kind: Literal["positive", "negative"] = "positive" if done else "negative"
            ui.notify(
                f"{self._words(command)}: {text_of(told)}", type=kind, timeout=0, close_button=True, multi_line=True
            )

    def close(self) -> None:
        """Leave it; nothing is sent."""
        self.dialog.close()

    def _left(self) -> None:
        # By Escape, or a click beside it, as well.
        self._command = None
