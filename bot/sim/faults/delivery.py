"""Events on their last step to a client: sent, doubled, held back, swapped with the next one, or lost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sim.faults.link_faults import Drop, Duplicate, Late, LoseEvent, Reorder
from bot.sim.faults.match import MARKET_DATA, Seen
from bot.sim.faults.script import What

if TYPE_CHECKING:
    from bot.sim.faults.stage import Stage
    from bot.sim.protocol import Link


@dataclass(eq=False, slots=True)
class _Held:
    """An event that lets the next one pass."""

    data: bytes
    is_market: bool
    account_id: int | None

    def lets_pass(self, seen: Seen) -> bool:
        if self.is_market != (seen.name in MARKET_DATA) or not seen.name.startswith("ProtoOA"):
            return False
        return self.account_id is None or seen.account_id in (None, self.account_id)


class Delivery:
    """Carries out the event faults of all links."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self._held: dict[Link, _Held] = {}

    @property
    def is_holding(self) -> bool:
        """Whether any event waits for the next one."""
        return bool(self._held)

    def forget(self, link: "Link") -> None:
        """A link has closed: what was held for it is lost."""
        self._held.pop(link, None)

    def send(self, link: "Link", data: bytes, seen: Seen, struck: list[What], now_ns: int, sent_ns: int) -> None:
        """Send a framed message, not before `sent_ns`, as the faults that struck it want it."""
        put, later = link.outbound.put, self._later
        is_sent = True
        for what in struck:
            if isinstance(what, LoseEvent):
                is_sent = False
            elif isinstance(what, Drop):
                is_sent = is_sent and what.when == "after_reply"
            elif isinstance(what, Late):
                later(link, data, now_ns + what.by_ns)
                is_sent = False
            elif isinstance(what, Reorder) and is_sent and link not in self._held:
                self._hold(link, data, seen, now_ns + what.within_ns)
                is_sent = False
            elif isinstance(what, Duplicate) and what.gap_ns:
                later(link, data, now_ns + what.gap_ns)
        if is_sent:
            put(data, now_ns, not_before_ns=sent_ns)
            if any(isinstance(what, Duplicate) and not what.gap_ns for what in struck):
                put(data, now_ns, not_before_ns=sent_ns)
            held = self._held.get(link)
            if held is not None and held.lets_pass(seen):
                del self._held[link]
                put(held.data, now_ns, not_before_ns=sent_ns)
        if any(isinstance(what, Drop) for what in struck):
            link.mute()

    def _hold(self, link: "Link", data: bytes, seen: Seen, until_ns: int) -> None:
        held = self._held[link] = _Held(data, seen.name in MARKET_DATA, seen.account_id)

        def release(now_ns: int) -> None:
            if self._held.get(link) is held:
                del self._held[link]
                link.outbound.put(data, now_ns)

        self._stage.schedule(until_ns, release)

    def _later(self, link: "Link", data: bytes, due_ns: int) -> None:
        def send(now_ns: int) -> None:
            if not link.is_closed:
                link.outbound.put(data, now_ns)

        self._stage.schedule(due_ns, send)
