"""The stage: plays a script of faults on the venue, under the venue's clock.

How it works: what the clock sets off stands in one heap, whose first time is `due_ns`; the venue calls `run` when it is
reached. What a request, an event or a connection sets off is a watch, asked when one passes. A fault that lasts becomes
a condition. Links ask the stage only while a `watches_*` flag says that it has something to say, so that a venue
without faults pays for a comparison and no more. Every fault that strikes is noted in `fired` and told to `listener`.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.sim.faults import actions
from bot.sim.faults.conditions import LASTING, NEVER_NS, Condition, Conditions
from bot.sim.faults.delivery import Delivery
from bot.sim.faults.link_faults import Drop, Silence, SlowReader
from bot.sim.faults.match import Seen
from bot.sim.faults.reply_faults import NoReply, Reject
from bot.sim.faults.script import (
    EVENT_FAULTS,
    ON_CONNECT,
    ON_EVENT,
    ON_REQUEST,
    REQUEST_FAULTS,
    Fault,
    FaultScript,
    RandomFaults,
    What,
    When,
    name_of,
)
from bot.sim.faults.session_faults import Block, Maintenance
from bot.sim.faults.verdict import Verdict, rejection
from bot.sim.rate_limits import Blocks, RateLimits
from bot.sim.request_log import DEFAULT_SIZE, RequestLog

if TYPE_CHECKING:
    from bot.sim.protocol import Link
    from bot.sim.venue import Venue

_HOUR_NS = 3_600_000_000_000
_REMEMBERED = 10_000


class Fired(NamedTuple):
    """A fault that struck, and why. `problem` says why it did nothing, None when it did."""

    time_ns: int
    what: What
    why: str
    problem: str | None = None
    scope: str = ""

    def line(self) -> str:
        """Return it for a person, in one line."""
        missed = "" if self.problem is None else f"; it did nothing: {self.problem}"
        scope = f" [{self.scope}]" if self.scope else ""
        return f"fault {name_of(self.what)} ({self.why}){scope}: {self.what}{missed}"


@dataclass(slots=True, eq=False)
class _Watch:
    """A fault that waits for a request, an event or a connection. `left` None: without end."""

    fault: Fault
    names: tuple[str, ...]
    from_ns: int
    random: Random
    left: int | None
    seen: int = 0

    def strikes(self, now_ns: int) -> bool:
        """Count one that matches; tell whether it is struck."""
        if now_ns < self.from_ns or self.left == 0:
            return False
        self.seen += 1
        if self.seen < self.fault.when.nth or self.random.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Stage:
    """Plays faults. Made by the venue; `play` and `fire` are for tests and for people at a keyboard."""

    def __init__(
        self,
        venue: "Venue",
        start_ns: int,
        script: FaultScript | None = None,
        *,
        seed: int = 0,
        limits: RateLimits | None = None,
        log_size: int = DEFAULT_SIZE,
    ) -> None:
        script = script or FaultScript()
        self.venue = venue
        self.base_limits = self.limits = limits or RateLimits()
        self.request_log = RequestLog(log_size)
        self.fired: deque[Fired] = deque(maxlen=_REMEMBERED)
        self.listener: Callable[[Fired], None] | None = None
        self.due_ns = NEVER_NS
        self.watches_requests = self.watches_hearing = self.watches_sending = False
        self.links_opened = 0
        self._has_blocked = False
        self._start_ns = start_ns
        self._seed = seed if script.seed is None else script.seed
        self._streams = itertools.count()
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._numbers = itertools.count()
        self._watches: dict[str, list[_Watch]] = {ON_REQUEST: [], ON_EVENT: [], ON_CONNECT: []}
        self._conditions = Conditions()
        self._blocks = Blocks()
        self._delivery = Delivery(self)
        for fault in script.faults:
            self._enter(fault)
        if script.random is not None and script.random.faults and script.random.per_hour > 0:
            self._next_random(script.random, self.random(), start_ns)

    # -- by hand ----------------------------------------------------------------------------------------------------

    def play(self, fault: Fault, now_ns: int, link: "Link | None" = None) -> None:
        """Let a fault strike at once; one whose `when` names a request or an event waits for it from now on."""
        if fault.when.trigger in (ON_REQUEST, ON_EVENT):
            self._watch(fault, now_ns, self.random())
        else:
            self._strike(fault, now_ns, "by hand", self.random(), link)
        self._settle(now_ns)

    def fire(self, what: What, *, for_ns: int | None = None, **filters: Any) -> None:
        """Let something happen at once; `filters` are fields of `Fault` (account_id, symbol, times)."""
        self.play(Fault(what, for_ns=for_ns, **filters), self.venue.now_ns)

    # -- the clock --------------------------------------------------------------------------------------------------

    def schedule(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Call `action(due_ns)` when the venue's clock is there."""
        if due_ns < NEVER_NS:
            heapq.heappush(self._heap, (due_ns, next(self._numbers), action))
            self.due_ns = self._heap[0][0]

    def run(self, now_ns: int) -> None:
        """Do what is due up to `now_ns`, in order."""
        while self._heap and self._heap[0][0] <= now_ns:
            due_ns, _, action = heapq.heappop(self._heap)
            self.due_ns = self._heap[0][0] if self._heap else NEVER_NS
            self.venue.now_ns = max(self.venue.now_ns, due_ns)
            action(self.venue.now_ns)

    def random(self) -> Random:
        """Return the next stream of chance: one for each user, so that none disturbs another."""
        return Random(f"{self._seed}/{next(self._streams)}")

    def _settle(self, now_ns: int) -> None:
        if self.due_ns <= now_ns:
            self.run(now_ns)

    def _enter(self, fault: Fault) -> None:
        random, when = self.random(), fault.when
        if when.every_ns is not None:
            self._repeat(fault, random, 1, fault.limit)
        elif when.at_ns is not None:
            due_ns = self._start_ns + when.at_ns + _spread(random, when.jitter_ns)
            self.schedule(due_ns, lambda now_ns: self._timed(fault, now_ns, random, "its time has come"))
        elif when.trigger in self._watches:
            self._watch(fault, self._start_ns + when.after_ns, random)
        else:
            self.schedule(self._start_ns, lambda now_ns: self._timed(fault, now_ns, random, "from the start"))

    def _repeat(self, fault: Fault, random: Random, number: int, left: int | None) -> None:
        when = fault.when
        if when.every_ns is None or left == 0:
            return
        due_ns = self._start_ns + number * when.every_ns + _spread(random, when.jitter_ns)

        def again(now_ns: int) -> None:
            struck = random.random() < fault.probability
            if struck:
                self._timed(fault.once(), now_ns, random, f"time {number} of a fault that comes back")
            self._repeat(fault, random, number + 1, None if left is None else left - struck)

        self.schedule(due_ns, again)

    def _next_random(self, block: RandomFaults, random: Random, now_ns: int) -> None:
        def strike(now_ns: int) -> None:
            self._timed(random.choice(block.faults).once(), now_ns, random, "drawn by chance")
            self._next_random(block, random, now_ns)

        self.schedule(now_ns + max(1, round(random.expovariate(block.per_hour) * _HOUR_NS)), strike)

    def _timed(self, fault: Fault, now_ns: int, random: Random, why: str) -> None:
        if fault.when.trigger in (ON_REQUEST, ON_EVENT):
            self._watch(fault, now_ns, random)
        elif random.random() < fault.probability:
            self._strike(fault, now_ns, why, random, None)

    # -- what links ask ---------------------------------------------------------------------------------------------

    def connected(self, link: "Link", now_ns: int) -> str | None:
        """A client has connected; give its link a number, and return why it is refused, None when it is not."""
        self.links_opened += 1
        link.number = self.links_opened
        refusal = self._conditions.connection_refusal()
        if refusal is not None:
            return refusal
        link.gate.limits = self.limits
        link.outbound.shape = self._conditions.shape(link)
        for watch in self._watches[ON_CONNECT]:
            if watch.fault.when.on_connect == self.links_opened and watch.strikes(now_ns):
                why = f"connection {self.links_opened}"
                self._strike(watch.fault, now_ns, why, watch.random, link)
        self._settle(now_ns)
        return None

    def forget(self, link: "Link") -> None:
        """A link has closed."""
        self._conditions.forget(link)
        self._delivery.forget(link)

    def heard_ns(self, link: "Link", now_ns: int) -> int | None:
        """Return when a message from a client that arrives now is handled; None: never."""
        return self._conditions.heard_ns(link, now_ns)

    def is_reading(self, link: "Link") -> bool:
        """Tell whether the venue reads a link's socket."""
        return not self.watches_hearing or self._conditions.is_reading(link)

    def judge(self, link: "Link", wrapper: Any, now_ns: int) -> Verdict:
        """Say what becomes of a request."""
        verdict, seen = Verdict(), Seen(self.venue, wrapper)
        for watch in list(self._watches[ON_REQUEST]):
            if seen.fits(watch.fault, watch.names) and watch.strikes(now_ns):
                self._on_request(verdict, seen, watch, link, now_ns)
        self._refresh()
        blocked = self._blocks.refusal(seen.payload_type, now_ns)
        if blocked is not None:
            verdict.refuse(blocked.code, actions.rate_error(blocked, seen.account_id))
        refused = self._conditions.refusal(seen.account_id)
        if refused is not None:
            verdict.refuse(*refused)
        return verdict

    def send(self, link: "Link", data: bytes, now_ns: int) -> None:
        """Let a framed message leave, or do to it what faults ask for."""
        sent_ns = self._conditions.sent_ns(link, now_ns)
        if sent_ns is None:
            return
        seen = Seen.of_frame(self.venue, data)
        struck: list[What] = []
        for watch in list(self._watches[ON_EVENT]):
            fits = seen.fits(watch.fault, watch.names) and (watch.names or seen.is_event)
            if fits and watch.strikes(now_ns):
                struck.append(self._on_event(watch, seen, link, now_ns))
        self._delivery.send(link, data, seen, struck, now_ns, sent_ns)
        if struck:
            self._refresh()

    # -- what happens -----------------------------------------------------------------------------------------------

    def _on_request(self, verdict: Verdict, seen: Seen, watch: _Watch, link: "Link", now_ns: int) -> None:
        fault, why = watch.fault, f"request {watch.seen} of {seen.name}"
        what = fault.what
        if isinstance(what, Drop):
            verdict.end(what)
        elif isinstance(what, NoReply):
            if what.request == "executed":
                verdict.is_silent = True
            else:
                verdict.ignore()
        elif isinstance(what, Reject):
            if not actions.reject_after_acceptance(self.venue, what, seen):
                verdict.refuse(what.code, rejection(what, seen))
        elif isinstance(what, EVENT_FAULTS):
            self._watch(fault.once(When()), now_ns, watch.random, ON_EVENT)
        else:
            self._strike(fault, now_ns, why, watch.random, link)
            return
        self._note(Fired(now_ns, what, why, scope=fault.scope))

    def _on_event(self, watch: _Watch, seen: Seen, link: "Link", now_ns: int) -> What:
        fault, why = watch.fault, f"event {watch.seen} of {seen.execution or seen.name}"
        what = fault.what
        if isinstance(what, EVENT_FAULTS):
            self._note(Fired(now_ns, what, why, scope=fault.scope))
        elif isinstance(what, Drop):
            self._note(Fired(now_ns, what, why, scope=fault.scope))
            self.schedule(now_ns, lambda _: link.drop(why, abort=what.abort))
        else:
            # Whoever sends this is in the middle of something: let it finish first.
            self.schedule(now_ns, lambda due_ns: self._strike(fault, due_ns, why, watch.random, link))
        return what

    def _strike(self, fault: Fault, now_ns: int, why: str, random: Random, link: "Link | None") -> None:
        what, problem = fault.what, None
        links = [link] if link is not None else list(self.venue.links)
        if fault.account_id is not None:
            links = [held for held in links if held.has_account(fault.account_id)]
        if isinstance(what, REQUEST_FAULTS):
            self._watch(fault.once(When()), now_ns, random, ON_REQUEST)
        elif isinstance(what, EVENT_FAULTS):
            self._watch(fault.once(When()), now_ns, random, ON_EVENT)
        elif isinstance(what, LASTING):
            problem = self._last(fault, now_ns, random, links if link is not None else None)
        elif isinstance(what, Drop):
            for held in links:
                held.drop(why, abort=what.abort)
        elif isinstance(what, Block):
            self._block(what, now_ns)
        else:
            problem = actions.act(self, fault, links, now_ns)
        self._note(Fired(now_ns, what, why, problem, fault.scope))

    def _last(self, fault: Fault, now_ns: int, random: Random, links: list["Link"] | None) -> str | None:
        what = fault.what
        if isinstance(what, Maintenance) and fault.for_ns is None:
            return "maintenance needs an end; say for how long"
        if isinstance(what, Silence | SlowReader) and links is None:
            links = list(self.venue.links)
        until_ns = NEVER_NS if fault.for_ns is None else now_ns + fault.for_ns
        condition = Condition(what, until_ns, random, None if links is None else tuple(links), fault.account_id)
        self._conditions.begin(condition)
        self._refresh()

        def over(_now_ns: int) -> None:
            self._conditions.end(condition)
            self._refresh()

        self.schedule(until_ns, over)
        return None

    def _block(self, block: Block, now_ns: int) -> None:
        for name in block.requests:
            self._blocks.start(
                actions.kind_of(name), now_ns, block.retry_after_ns, extends=block.extends,
                tells_retry_after=block.tells_retry_after,
            )  # fmt: skip
        self._has_blocked = True
        self._refresh()

    def _watch(self, fault: Fault, from_ns: int, random: Random, trigger: str | None = None) -> None:
        trigger = trigger or fault.when.trigger
        names = fault.when.on_request if trigger == ON_REQUEST else fault.when.on_event
        self._watches[trigger].append(_Watch(fault, names, from_ns, random, fault.limit))
        self._refresh()

    def _refresh(self) -> None:
        conditions = self._conditions
        for trigger, watches in self._watches.items():
            self._watches[trigger] = [watch for watch in watches if watch.left != 0]
        self.watches_requests = bool(self._watches[ON_REQUEST]) or self._has_blocked or conditions.touches_requests
        self.watches_hearing = conditions.touches_hearing
        self.watches_sending = bool(self._watches[ON_EVENT]) or conditions.touches_sending or self._delivery.is_holding
        self.limits = conditions.limits(self.base_limits)
        for link in self.venue.links:
            link.gate.limits = self.limits
            link.outbound.shape = conditions.shape(link)

    def _note(self, fired: Fired) -> None:
        self.fired.append(fired)
        if self.listener is not None:
            self.listener(fired)


def _spread(random: Random, jitter_ns: int) -> int:
    return random.randint(-jitter_ns, jitter_ns) if jitter_ns else 0
