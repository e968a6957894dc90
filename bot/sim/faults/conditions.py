"""The faults that last: which hold now, whom they concern, and what they do to bytes, requests and connections.

A fault that was set off by the clock holds for every link, also for those that come later; silence and slow reading,
which belong to a connection, hold for the links there are. One set off by a request or an event holds for its link.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from bot.ctrader.schema import message
from bot.sim.faults.link_faults import Latency, Merge, Silence, SlowReader, Split
from bot.sim.faults.outbound import Shape
from bot.sim.faults.script import What
from bot.sim.faults.session_faults import Maintenance, NotRoutable, Rate, RefuseConnections, ServerUnreachable
from bot.sim.rate_limits import RateLimits

if TYPE_CHECKING:
    from bot.sim.protocol import Link

NEVER_NS = 2**63 - 1
LASTING = (Latency, Split, Merge, Silence, SlowReader, Rate, Maintenance, RefuseConnections, NotRoutable,
           ServerUnreachable)  # fmt: skip
"""The faults that are kept here while they last; those of the venue's state last in the venue."""

_MS_NS, _SECOND_NS = 1_000_000, 1_000_000_000
_W = TypeVar("_W")


@dataclass(eq=False, frozen=True, slots=True)
class Condition:
    """A fault that lasts. `links` None: every one; `until_ns` is `NEVER_NS` for ever."""

    what: What
    until_ns: int
    random: Random
    links: tuple["Link", ...] | None = None
    account_id: int | None = None

    def concerns(self, link: "Link") -> bool:
        """Tell whether it holds for a link."""
        return (self.links is None or link in self.links) and (
            self.account_id is None or link.has_account(self.account_id)
        )


class Conditions:
    """What lasts at the moment."""

    def __init__(self) -> None:
        self._held: list[Condition] = []

    def begin(self, condition: Condition) -> None:
        """Let a fault hold from now on."""
        self._held.append(condition)

    def end(self, condition: Condition) -> None:
        """Let it hold no longer."""
        if condition in self._held:
            self._held.remove(condition)

    def forget(self, link: "Link") -> None:
        """Drop what held for one closed link alone."""
        self._held = [c for c in self._held if c.links is None or any(held is not link for held in c.links)]

    # -- what they do -----------------------------------------------------------------------------------------------

    @property
    def touches_hearing(self) -> bool:
        """Whether messages from any client may be late or lost."""
        return any(isinstance(c.what, Silence | SlowReader | Latency) for c in self._held)

    @property
    def touches_sending(self) -> bool:
        """Whether messages to any client may be lost or held."""
        return any(isinstance(c.what, Silence) for c in self._held)

    @property
    def touches_requests(self) -> bool:
        """Whether requests may be refused."""
        return any(isinstance(c.what, Maintenance | NotRoutable | ServerUnreachable) for c in self._held)

    def shape(self, link: "Link") -> Shape | None:
        """Return what acts on a link's outgoing bytes; of two faults of one kind the later one counts."""
        found: dict[type, Any] = {type(c.what): c.what for c in self._held if c.concerns(link)}
        shape = Shape(found.get(Latency), found.get(Merge), found.get(Split))
        return None if shape == Shape() else shape

    def limits(self, base: RateLimits) -> RateLimits:
        """Return the limits on requests that hold now."""
        for what, _ in self._of(Rate):
            given = {f.name: getattr(what, f.name) for f in fields(what) if getattr(what, f.name) is not None}
            base = replace(base, **given)
        return base

    def heard_ns(self, link: "Link", now_ns: int) -> int | None:
        """Return when a message that arrives now is handled; None: never, it is lost."""
        heard_ns = now_ns
        for what, condition in self._of(Silence, link):
            if what.direction == "outbound":
                continue
            if what.fate == "lost":
                return None
            heard_ns = max(heard_ns, condition.until_ns)
        for _, condition in self._of(SlowReader, link):
            heard_ns = max(heard_ns, condition.until_ns)
        for latency, condition in self._of(Latency, link):
            if latency.inbound_ns:
                late_ns = latency.inbound_ns + condition.random.randint(0, latency.jitter_ns)
                heard_ns = max(heard_ns, now_ns + late_ns)
        return heard_ns

    def sent_ns(self, link: "Link", now_ns: int) -> int | None:
        """Return when a message of now may leave; None: never, it is lost."""
        for what, condition in self._of(Silence, link):
            if what.direction != "inbound":
                return None if what.fate == "lost" else max(now_ns, condition.until_ns)
        return now_ns

    def is_reading(self, link: "Link") -> bool:
        """Tell whether the venue reads a link's socket at all."""
        return next(self._of(SlowReader, link), None) is None

    def refusal(self, account_id: int | None) -> tuple[str, Any] | None:
        """Return the code and the message that a request is refused with; None when it is not."""
        for maintenance, condition in self._of(Maintenance):
            code, text = "SERVER_IS_UNDER_MAINTENANCE", "the server is under maintenance"
            if maintenance.shape == "common":
                end = -(-condition.until_ns // _MS_NS)
                return code, message("ProtoErrorRes")(errorCode=code, description=text, maintenanceEndTimestamp=end)
            end = -(-condition.until_ns // _SECOND_NS)
            return code, error_res(code, text, account_id, maintenanceEndTimestamp=end)
        if account_id is None:
            return None
        for _, condition in self._of(NotRoutable):
            if condition.account_id in (None, account_id):
                code = "CANT_ROUTE_REQUEST"
                return code, error_res(code, "the server of the trading account cannot be found", account_id)
        for _, condition in self._of(ServerUnreachable):
            if condition.account_id in (None, account_id):
                code = "CH_SERVER_NOT_REACHABLE"
                return code, error_res(code, "the trading server does not answer", account_id)
        return None

    def connection_refusal(self) -> str | None:
        """Return why new connections are refused; None when they are not."""
        for _ in self._of(RefuseConnections):
            return "new connections are refused"
        for maintenance, _ in self._of(Maintenance):
            if maintenance.connections == "refused":
                return "new connections are refused during maintenance"
        return None

    def _of(self, kind: type[_W], link: "Link | None" = None) -> Iterator[tuple[_W, Condition]]:
        for condition in self._held:
            if isinstance(condition.what, kind) and (link is None or condition.concerns(link)):
                yield condition.what, condition


def error_res(code: str, description: str, account_id: int | None, **more: Any) -> Any:
    """Return a ProtoOAErrorRes."""
    error = message("ProtoOAErrorRes")(errorCode=code, description=description, **more)
    if account_id is not None:
        error.ctidTraderAccountId = account_id
    return error
