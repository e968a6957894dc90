"""A connection to the embedded venue for long runs in memory: faithful in what it carries and in how it breaks."""

from collections import Counter
from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from week_witness import Witness
from wired_bot import CLIENT, SECOND

from bot.config.token_file import Token
from bot.ctrader.framing import FrameReader
from bot.ctrader.ratelimit import KindHeld
from bot.net.client import LONGEST_RETRY_S, retry_delay_s
from bot.net.driver import Driver
from bot.net.oauth import OAuthRefused
from bot.sim.entities import Refused
from bot.sim.protocol import Link
from bot.sim.venue import Venue

_TOKEN_LIFE_S = 2_628_000


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

    def held(self, held: KindHeld) -> None:
        """Nobody else is on this connection."""

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


class WeekPages:
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
        return succeed(Token(issued.access_token, issued.refresh_token, self._now_ns() // SECOND + _TOKEN_LIFE_S))
