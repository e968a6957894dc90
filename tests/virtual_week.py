"""A week of the whole bot against the embedded venue, on one virtual clock that jumps from event to event.

How it works: `VirtualWeek` puts together what `app.run_live` does, without sockets and without a journal. Time goes to
whatever is due next: a timer of the bot, a change at the venue, a fault of the plan. `WeekLink` stands in for the TLS
client: it carries segments one by one, loses what an aborted connection loses, and can cut a delivery in two. The plan
of faults is drawn from the seed before anything runs; `Witness` reads every byte that the bot writes or is given and
keeps the bot to its promises with nothing of the bot's own code but the message classes.

Chance has one source, the seed: the same seed gives the same week, to the last decision.
"""

import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from types import FunctionType, MethodType, ModuleType
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from wired_bot import ACCOUNT, CLIENT, RUN_ID, SECOND, START, TOKEN

from bot.assembly import assemble, open_ledger
from bot.config import Config
from bot.config.token_file import Token, write_token_file
from bot.ctrader.framing import FrameReader
from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import message, message_for, payload_type
from bot.engine.decision import Decision
from bot.market.book import BID
from bot.net.client import LONGEST_RETRY_S, retry_delay_s
from bot.net.driver import Driver, DriverSettings
from bot.net.fault_script import load_faults, parse_script
from bot.net.oauth import OAuthRefused
from bot.net.outcome import Outcome
from bot.net.token_keeper import TokenKeeper
from bot.sim.entities import AccountSettings, Refused
from bot.sim.faults.link_faults import LoseEvent, Silence
from bot.sim.faults.script import Fault, When, name_of
from bot.sim.listing import FX_WEEK
from bot.sim.market import open_market
from bot.sim.protocol import Link
from bot.sim.venue import Venue

HOUR_S, DAY_S = 3_600, 86_400
QUIET_S = 240.0
"""After the last fault the bot must be READY and agree with the venue in all things within this time."""

SLOW_MARKET = 80
"""The market runs so much slower than its clock: a quote about every ten seconds a symbol."""

_NEW, _CLOSE = payload_type("ProtoOANewOrderReq"), payload_type("ProtoOAClosePositionReq")
_HEARTBEAT = payload_type("ProtoHeartbeatEvent")
_ERRORS = {payload_type("ProtoOAErrorRes"), payload_type("ProtoErrorRes")}
_TRADES = {_NEW, _CLOSE}
_RANDOM_WEEK = Path(__file__).parents[1] / "config" / "faults" / "random_week.yaml"

DROPS = """
faults:
  - drop:
  - drop: {abort: true}
  - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: before}}
  - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: after_execution}}
  - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], drop: {when: after_reply, abort: true}}
  - {on_request: [ProtoOAApplicationAuthReq, ProtoOAAccountAuthReq], drop: {when: before, abort: true}}
  - {on_request: [ProtoOATraderReq, ProtoOASymbolByIdReq, ProtoOAReconcileReq], drop: {when: after_execution}}
  - {on_request: [ProtoOASubscribeSpotsReq, ProtoOASubscribeDepthQuotesReq], drop: {when: after_reply}}
  - {on_request: [ProtoOAOrderListReq, ProtoOADealListReq], drop: {when: before}}
  - {on_event: ProtoOAExecutionEvent, drop: {when: before}}
  - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], drop: {when: after_reply, abort: true}}
"""
"""Connections that break; `cut` faults of the link, in the middle of a frame, are added by the plan."""

OTHERS = """
faults:
  - {for: 20s, latency: {inbound: 150ms, outbound: 250ms, jitter: 100ms}}
  - {for: 30s, split: {size_bytes: 7, gap: 2ms}}
  - {for: 30s, merge: {window: 400ms}}
  - {for: 75s, silence: {fate: lost}}
  - {for: 20s, silence: {direction: outbound, fate: late}}
  - {for: 15s, silence: {direction: inbound, fate: lost}}
  - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], duplicate: {gap: 300ms}}
  - {on_event: [ProtoOASpotEvent, ProtoOADepthEvent], reorder: }
  - {on_event: ProtoOAExecutionEvent, duplicate: {gap: 5s}}
  - {on_event: ProtoOAExecutionEvent, reorder: }
  - {on_event: ProtoOAExecutionEvent, late: {by: 15s}}
  - {on_event: ProtoOAExecutionEvent, lose_event: }
  - {on_event: ProtoOADepthEvent, lose_event: }
  - {on_event: ProtoOASpotEvent, lose_event: }
  - {on_request: ProtoOANewOrderReq, reject: {shape: error_res, code: TIMEOUT_ERROR}}
  - {on_request: ProtoOANewOrderReq, reject: {shape: common, code: SOMETHING_NEW}}
  - {on_request: ProtoOANewOrderReq, reject: {shape: execution, code: MAX_EXPOSURE_REACHED}}
  - {on_request: ProtoOAClosePositionReq, reject: {shape: order_error, code: POSITION_LOCKED}}
  - {on_request: ProtoOANewOrderReq, reject: {shape: order_error, code: MARKET_CLOSED}}
  - {on_request: ProtoOAReconcileReq, reject: {shape: error_res, code: CH_SERVER_NOT_REACHABLE}}
  - {on_request: ProtoOAAccountAuthReq, reject: {shape: error_res, code: CANT_ROUTE_REQUEST}}
  - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], no_reply: {request: ignored}}
  - {on_request: ProtoOAClosePositionReq, no_reply: {request: executed}}
  - {on_request: [ProtoOAReconcileReq, ProtoOASubscribeSpotsReq], no_reply: {request: ignored}}
  - {on_request: [ProtoOAOrderListReq, ProtoOADealListReq], no_reply: {request: executed}}
  - {on_request: [ProtoOANewOrderReq, ProtoOAClosePositionReq], partial_fill: {fraction: 0.4, rest: filled}}
  - {client_disconnect: {reason: please connect again}}
  - {expire_token: {code: OA_AUTH_TOKEN_EXPIRED}}
  - {expire_token: {code: CH_ACCESS_TOKEN_INVALID}}
  - {block: {requests: [ProtoOANewOrderReq, ProtoOAClosePositionReq], retry_after: 20s}}
  - {block: {requests: [ProtoOAReconcileReq, ProtoOASubscribeSpotsReq], retry_after: 10s}}
  - {block: {requests: ProtoOANewOrderReq, retry_after: 4s, tells_retry_after: false, extends: true}}
  - {for: 60s, rate: {requests_per_s: 10, historical_per_s: 1, block_after: 3, block_window: 10s, block_for: 5s}}
  - {for: 90s, maintenance: {shape: common, connections: refused}}
  - {for: 20s, not_routable: }
  - {for: 20s, server_unreachable: }
  - {symbol: EURUSD, manual_trade: {action: open, side: buy}}
  - {symbol: USDJPY, manual_trade: {action: open, side: buy}}
  - {symbol: GBPUSD, manual_trade: {action: open, side: sell}}
  - {symbol: EURUSD, manual_trade: {action: close}}
  - {symbol: BTCUSD, manual_trade: {action: close}}
  - manual_trade: {action: close_all}
  - manual_trade: {action: close_all}
  - {deposit: {amount: 250.25}}
  - {withdraw: {amount: 250.25}}
  - {leverage_change: {ratio: 100}}
  - {leverage_change: {ratio: 500}}
  - {margin_change: {factor: 3}}
  - {margin_change: {factor: 1}}
  - {symbol: EURUSD, margin_change: {factor: 2, tiers: true}}
  - {symbol: EURUSD, margin_change: {factor: 0.5, tiers: true}}
  - {for: 60s, access_rights: {rights: CLOSE_ONLY}}
  - {for: 60s, access_rights: {rights: NO_TRADING}}
  - {symbol: USDJPY, symbol_change: {min_volume_cents: 500000, step_volume_cents: 500000}}
  - {symbol: USDJPY, symbol_change: {min_volume_cents: 100000, step_volume_cents: 100000}}
  - {for: 60s, symbol: BTCUSD, trading_mode: {mode: CLOSE_ONLY_MODE}}
  - {for: 60s, symbol: EURUSD, close_market: }
  - {for: 20s, symbol: BTCUSD, crossed_book: }
  - {for: 30s, symbol: EURUSD, empty_book: {side: bid}}
  - {for: 30s, symbol: USDJPY, empty_book: {side: ask}}
  - {for: 90s, symbol: BTCUSD, stop_quotes: }
"""
"""Everything else that can go wrong and leaves a run alive."""

WEEKEND = """
faults:
  - {at: 4d, for: 3h, maintenance: {shape: error_res, connections: accepted}}
  - {at: 2d, symbol: USDJPY, holiday: {start_s: 3600, end_s: 7200}}
"""
"""Planned once: a maintenance on the weekend, an hour's holiday."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of the plan; `cut` is "read" or "write" for a delivery that ends in the middle, else ""."""

    at_s: float
    fault: Fault | None
    cut: str = ""

    def line(self) -> str:
        """Return it as one line that says when and what."""
        what = f"cut {self.cut}" if self.fault is None else f"{name_of(self.fault.what)} {self.fault}"
        return f"{self.at_s:.3f} s: {what}"


def plan_faults(seed: int, until_s: float, drops_per_hour: float, others_per_hour: float) -> list[Planned]:
    """Return the faults of a week in the order of time: two Poisson processes, one of drops and one of the rest."""
    chance = Random(f"{seed}/plan")
    drops: list[Fault | None] = [*parse_script(DROPS, "drops").faults, None, None]
    drawn = load_faults(_RANDOM_WEEK).random
    assert drawn is not None
    others: list[Fault | None] = [*parse_script(OTHERS, "others").faults, *drawn.faults]
    planned = []
    for kinds, per_hour in ((drops, drops_per_hour), (others, others_per_hour)):
        at_s = 0.0
        deck: list[Fault | None] = []
        while (at_s := at_s + chance.expovariate(per_hour / HOUR_S)) < until_s:
            if not deck:  # dealt like cards, so that no kind is left out
                deck = chance.sample(kinds, len(kinds))
            fault = deck.pop()
            planned.append(Planned(at_s, fault, "" if fault is not None else chance.choice(["read", "write"])))
    for fault in parse_script(WEEKEND, "weekend").faults:
        assert fault.when.at_ns is not None
        if fault.when.at_ns / SECOND < until_s:
            planned.append(Planned(fault.when.at_ns / SECOND, replace(fault, when=When())))
    return sorted(planned, key=lambda entry: entry.at_s)


class Witness:
    """Reads what goes over the wire and notes every broken promise in `problems`. Units: times in ns."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self.problems: list[str] = []
        self.written: Counter[str] = Counter()
        self.blocked_count = 0
        self.most_in_a_second = {False: 0, True: 0}
        self._times: dict[bool, deque[int]] = {False: deque(), True: deque()}
        self._kinds: dict[str, int] = {}
        self._held_until_ns: dict[int, int] = {}
        self._order_ids: set[str] = set()

    @property
    def order_count(self) -> int:
        """How many orders have been placed."""
        return len(self._order_ids)

    def reads(self, frames: list[bytes], now_ns: int) -> None:
        """The bot is given whole frames."""
        for body in frames:
            if b"BLOCKED_PAYLOAD_TYPE" not in body:
                continue
            wrapper = message("ProtoMessage").FromString(body)
            kind = self._kinds.get(wrapper.clientMsgId)
            if wrapper.payloadType not in _ERRORS or kind is None:
                continue
            error: Any = message_for(wrapper.payloadType)
            retry_after_s = getattr(error.FromString(wrapper.payload), "retryAfter", 0)
            if retry_after_s:
                self.blocked_count += 1
                until_ns = now_ns + retry_after_s * SECOND
                self._held_until_ns[kind] = max(until_ns, self._held_until_ns.get(kind, 0))

    def writes(self, frames: list[bytes], now_ns: int) -> None:
        """The bot has written whole frames."""
        for body in frames:
            wrapper = message("ProtoMessage").FromString(body)
            kind = wrapper.payloadType
            self.written[message_for(kind).DESCRIPTOR.name] += 1  # type: ignore[union-attr]
            if kind == _HEARTBEAT:
                continue
            self._kinds[wrapper.clientMsgId] = kind
            if len(self._kinds) > 2_000:
                del self._kinds[next(iter(self._kinds))]
            self._count(is_historical(kind), now_ns)
            if now_ns < self._held_until_ns.get(kind, 0):
                self.problems.append(f"{message_for(kind)} was sent while it was blocked")
            if kind in _TRADES and not self._is_ready():
                self.problems.append("a trade was sent while the session was not READY")
            if kind == _NEW:
                order: Any = message("ProtoOANewOrderReq")
                name = order.FromString(wrapper.payload).clientOrderId
                if not name or name in self._order_ids:
                    self.problems.append(f"client order id {name!r} was used again")
                self._order_ids.add(name)

    def _count(self, historical: bool, now_ns: int) -> None:
        times = self._times[historical]
        times.append(now_ns)
        while times[0] + SECOND <= now_ns:
            times.popleft()
        self.most_in_a_second[historical] = max(self.most_in_a_second[historical], len(times))
        if len(times) > (5 if historical else 50):
            self.problems.append(f"{len(times)} requests within a second")


class WeekLink:
    """In place of a `VenueClient`: the same calls, the same pauses between attempts; bytes need no time."""

    def __init__(
        self, clock: Clock, listener: Driver, venue: Venue, now_ns: Callable[[], int], chance: Random, witness: Witness
    ) -> None:
        self._clock, self._listener, self._venue, self._now_ns = clock, listener, venue, now_ns
        self._chance, self._witness = chance, witness
        self.link: Link | None = None
        self.up_since_s = 0.0
        self.drops: Counter[str] = Counter()
        self.cut = ""  # the next delivery of this kind ends in the middle, and the connection with it
        self._unread: list[bytes] = []
        self._is_running = False
        self._failed_in_a_row = 0
        self._not_before_s = 0.0

    def start(self) -> None:
        self._is_running = True
        self._clock.callLater(0, self._connect)

    def stop(self) -> Deferred[None]:
        self._is_running = False
        self._lose("stopped")
        return succeed(None)

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None:
        self._not_before_s = self._clock.seconds() + retry_in_s
        if self.link is not None:
            # A transport tells of its end on a later turn, never from within the call.
            self._clock.callLater(0, self._lose, reason)

    def pump(self) -> None:
        """Carry to the bot what the venue has to say, segment by segment, and the end of the connection."""
        link = self.link
        if link is None:
            return
        if self._unread and link.is_reading:
            self._deliver(link)
        while link is self.link and link.pending_bytes:
            segments = link.segments_to_send(self._now_ns())
            if not segments:
                break
            for segment in segments:
                if link is not self.link:
                    return
                self._read(segment)
        if link is self.link and link.is_closed:
            self._lose("the other side closed the connection")

    def _connect(self) -> None:
        if not self._is_running or self.link is not None:
            return
        link = self._venue.connect(self._now_ns())
        if link.is_closed:  # refused before the TLS handshake
            self._failed_in_a_row += 1
            self.drops["refused"] += 1
            self._listener.link_failed("no link: the other side closed the connection")
            self._again()
            return
        self.link, self._incoming, self._outgoing = link, FrameReader(), FrameReader()
        self.up_since_s = self._clock.seconds()
        self._listener.link_up(self._write)

    def _read(self, segment: bytes) -> None:
        is_cut = self.cut == "read" and len(segment) > 1
        if is_cut:
            segment = segment[: self._chance.randrange(1, len(segment))]
        self._witness.reads(self._incoming.receive(segment), self._now_ns())
        self._listener.link_data(segment)
        if is_cut:
            self.cut = ""
            self._lose("cut while reading")

    def _write(self, data: bytes) -> None:
        link = self.link
        if link is None:
            return
        self._witness.writes(self._outgoing.receive(data), self._now_ns())
        if self.cut == "write":
            self.cut = ""
            self._unread.append(data[: self._chance.randrange(1, len(data))])
            self._deliver(link)
            link.close()
            self._clock.callLater(0, self._lose, "cut while writing")
            return
        self._unread.append(data)
        if link.is_reading:
            self._deliver(link)

    def _deliver(self, link: Link) -> None:
        unread, self._unread = self._unread, []
        now_ns = self._now_ns()
        self._venue.advance(now_ns)
        for data in unread:
            link.receive(data, now_ns)

    def _lose(self, reason: str) -> None:
        if self.link is None:
            return
        self.drops[reason] += 1
        self.link.close()
        self.link = None
        self._unread.clear()
        lasted = self._clock.seconds() - self.up_since_s >= LONGEST_RETRY_S
        self._failed_in_a_row = 1 if lasted else self._failed_in_a_row + 1
        self._listener.link_down(reason)
        self._again()

    def _again(self) -> None:
        if self._is_running:
            pause_s = retry_delay_s(self._failed_in_a_row, self._chance.random)
            self._clock.callLater(max(0.0, self._not_before_s - self._clock.seconds()) + pause_s, self._connect)


class _Pages:
    """The venue's OAuth pages without HTTP; they are there although the venue's servers may not be."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue, self._now_ns = venue, now_ns
        self.asked = 0

    def refresh(self, refresh_token: str) -> "Deferred[Token]":
        self.asked += 1
        try:
            keys = CLIENT.client_id, CLIENT.client_secret
            issued = self._venue.credentials.refresh_over_http(*keys, refresh_token, self._now_ns())
        except Refused as refused:
            return fail(OAuthRefused(refused.description))
        if issued.replaced is not None:
            self._venue.end_sessions(issued.replaced, "the access token was refreshed")
        return succeed(Token(issued.access_token, issued.refresh_token, self._now_ns() // SECOND + 2_628_000))


class Outages:
    """The lines of the outage log, and READY as the state lines have it."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.back = 0
        self.wrong_order = 0
        self.state_lost = self.state_back = 0
        self._was_ready = False

    def hear(self, event: dict[str, Any]) -> None:
        """Take an event of Twisted's log."""
        if event.get("log_namespace") != "bot.net.outage_log":
            return
        line = formatEvent(event)
        self.wrong_order += line.startswith("not ready") != (len(self.lost) == self.back)
        if line.startswith("not ready"):
            self.lost.append(line.removeprefix("not ready any more: "))
        else:
            self.back += 1

    def see(self, decision: Decision) -> None:
        """Take a Decision."""
        if decision.state is None or decision.state.ready == self._was_ready:
            return
        self._was_ready = decision.state.ready
        self.state_back += decision.state.ready
        self.state_lost += not decision.state.ready
