"""What one look at the page shows: the snapshot, the words to say it in, and what this visitor has chosen to see."""

from dataclasses import dataclass
from typing import Any, Literal

from bot.dashboard.trail import Trail
from bot.dashboard.tree import Node, node
from bot.dashboard.words.catalogue import Words

OLD_S = 2.0
"""A live snapshot is old after so many seconds: nobody should act on what it says."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One look.

    `snapshot` is None before the first; `symbol` the one that is shown in detail; `events_shown` the kind of events, or
    `all`. `trouble`, `received_s`, `read_frac`, `playing`, `speed` are those of the feed.
    """

    words: Words
    snapshot: dict[str, Any] | None
    kind: Literal["live", "journal"]
    trail: Trail
    symbol: str | None = None
    events_shown: str = "all"
    trouble: str | None = None
    received_s: float | None = None
    read_frac: float | None = None
    playing: bool = False
    speed: float = 1.0

    @property
    def is_old(self) -> bool:
        """Whether what is shown may no longer be so. A recording is as old as it says, and that is no trouble."""
        if self.kind == "journal":
            return False
        return self.trouble is not None or self.received_s is None or self.received_s > OLD_S

    @property
    def known(self) -> dict[str, Any]:
        """The snapshot; empty before the first."""
        return self.snapshot or {}

    @property
    def currency(self) -> str | None:
        """The deposit currency."""
        return self.known.get("deposit_currency")

    @property
    def traded(self) -> list[dict[str, Any]]:
        """The symbols that the run trades."""
        return [each for each in self.known.get("symbols", ()) if each["traded"]]

    @property
    def shown(self) -> dict[str, Any] | None:
        """The symbol that is shown in detail: the one that was chosen, or the first."""
        chosen = [each for each in self.traded if each["symbol"] == self.symbol] or self.traded
        return chosen[0] if chosen else None

    def of(self, symbol: str | None) -> dict[str, Any]:
        """Return what is known of a symbol; empty for one that is not loaded."""
        return next((each for each in self.known.get("symbols", ()) if each["symbol"] == symbol), {})

    def figure(
        self, place: str, raw: float | None, text: str | None, unit: str | None = None, *, class_: str = ""
    ) -> Node:
        """Return a value that can be found again: `data-testid` is `value:` and its place, `data-value` the number.

        What is unknown is called so, and has an empty `data-value`.
        """
        found = {"data_testid": f"value:{place}", "data_value": "" if raw is None else repr(raw)}
        if raw is None or text is None:
            return node("span", self.words("unknown"), class_=f"figure unknown {class_}".rstrip(), **found)
        written = [text, node("span", unit, class_="unit") if unit else None]
        return node("span", written, class_=f"figure {class_}".rstrip(), **found)

    def moment(self, iso: str | None, text: str | None) -> Node:
        """Return a time in UTC; the browser adds the visitor's own time where the pointer rests."""
        return node("time", text or self.words("unknown"), datetime=iso)
