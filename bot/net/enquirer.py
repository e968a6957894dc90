"""Holds one conversation with a venue over a verified TLS link: for commands that ask something and end.

How it works: `Enquirer` carries bytes between a `VenueClient` and an `Enquiry`, with one timer for whatever the enquiry
has to do next. A link that cannot be made is tried again until `connect_timeout_s`; once the application is authorised
there is one connection and no other, unless the script wants a conversation `Beside` it: an `Enquirer` of its own holds
that one, and it ends with this one. `enquire` runs the reactor around it and returns what the script returned;
`enquire_again` begins anew when the link is lost.
"""

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from bot.config import ClientSecrets, Config
from bot.ctrader.enquiry import Enquiry, Script, failure_of
from bot.ctrader.framing import FrameReader, FrameTooLong
from bot.ctrader.refusals import EXIT_INTERRUPTED, EXIT_UNREACHABLE, EnquiryFailed, EnquiryRefused
from bot.net.address import venue_address
from bot.net.client import VenueClient
from bot.net.clock import run_clock
from bot.net.single_task import run_task
from bot.net.trust import TrustUnavailable

__all__ = ["Enquirer", "EnquiryFailed", "enquire", "enquire_again"]

STOP_LIMIT_S = 10.0
"""What a stopped script has to put in order what it left behind."""

CLOSE_LIMIT_S = 2.0
BESIDE_LIMIT_S = 60.0
"""How long a conversation on a second connection may take."""

Result = TypeVar("Result")


class Enquirer:
    """One conversation on a reactor. `start` connects; its Deferred fires with the result when the link is closed.

    It fails with `EnquiryFailed`, or with whatever a defect raised.
    Args: `connect` builds the client for a listener; `timeout_s` bounds the script, None leaves it its time.
    """

    def __init__(
        self,
        reactor: Any,
        enquiry: Enquiry[Any],
        connect: Callable[["Enquirer"], VenueClient],
        now_ns: Callable[[], int],
        *,
        connect_timeout_s: float,
        timeout_s: float | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._enquiry = enquiry
        self._now_ns = now_ns
        self._connect_timeout_s, self._timeout_s = connect_timeout_s, timeout_s
        self._tell = on_progress or (lambda text: None)
        self._connect = connect
        self._client = connect(self)
        self._beside: Enquirer | None = None
        self._reader = FrameReader()
        self._write: Callable[[bytes], None] | None = None
        self._calls: list[Any] = []
        self._timer: Any = None
        self._trouble = "nothing was heard from it"
        self._is_bounded = False
        self._is_closing = False
        self._finished: Deferred[Any] = Deferred()

    def start(self) -> "Deferred[Any]":
        """Connect and hold the conversation."""
        self._later(self._connect_timeout_s, self._connect_timeout)
        self._client.start()
        return self._finished

    def interrupt(self) -> None:
        """Stop for a person: the script may still put things in order. A second call ends it at once."""
        if self._beside is not None:
            self._beside.interrupt()
        self._stop(EnquiryFailed(EXIT_INTERRUPTED, "interrupted"))

    # -- told by the client -----------------------------------------------------------------------------------------

    def link_up(self, transport_write: Callable[[bytes], None]) -> None:
        """The TLS handshake is complete and verified."""
        self._write, self._reader = transport_write, FrameReader()
        self._tell("connected")
        self._enquiry.connection_made(self._now_ns())
        self._go_on()

    def link_data(self, data: bytes) -> None:
        """Bytes came."""
        now_ns = self._now_ns()
        try:
            for body in self._reader.receive(data):
                self._enquiry.receive_frame(body, now_ns)
        except FrameTooLong as error:
            self._enquiry.stop(EnquiryFailed(EXIT_UNREACHABLE, f"{error}; that is not cTrader"), now_ns)
        self._go_on()

    def link_down(self, reason: str) -> None:
        """A link that was up is gone."""
        self._write = None
        self._trouble = f"connection lost: {reason}"
        self._enquiry.connection_lost(self._now_ns(), self._trouble)
        self._go_on()

    def link_untrusted(self, text: str) -> None:
        """The certificate chain or the host name did not verify; nothing was sent."""
        self._enquiry.stop(EnquiryFailed(EXIT_UNREACHABLE, text), self._now_ns())
        self._go_on()

    def link_failed(self, text: str) -> None:
        """No connection could be made; it is tried again."""
        self._trouble = text
        self._tell(f"{text}; trying again")

    # -- the conversation -------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._is_closing:
            return
        enquiry = self._enquiry
        for data in enquiry.data_to_send(self._now_ns()):
            if self._write is not None:
                self._write(data)
        if enquiry.has_begun and not self._is_bounded:
            self._is_bounded = True
            if self._timeout_s is not None:
                self._later(self._timeout_s, self._timeout)
        if enquiry.is_over:
            self._close()
            return
        beside = enquiry.take_beside()
        if beside is not None:
            self._hold_beside(beside)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        due_ns = enquiry.next_timeout_ns()
        if due_ns is not None:
            self._timer = self._reactor.callLater(max(0.0, (due_ns - self._now_ns()) / 1e9), self._due)

    def _hold_beside(self, enquiry: Enquiry[Any]) -> None:
        limit_s = self._connect_timeout_s
        self._beside = Enquirer(
            self._reactor, enquiry, self._connect, self._now_ns, connect_timeout_s=limit_s, timeout_s=BESIDE_LIMIT_S
        )

        def ended(outcome: Any) -> None:
            self._beside = None
            self._enquiry.beside_over(outcome.value if isinstance(outcome, Failure) else outcome, self._now_ns())
            self._go_on()

        self._beside.start().addBoth(ended)

    def _due(self) -> None:
        self._enquiry.handle_timeout(self._now_ns())
        self._go_on()

    def _connect_timeout(self) -> None:
        if not self._enquiry.has_begun:
            why = f"no conversation within {self._connect_timeout_s:g} s: {self._trouble}"
            self._stop(EnquiryFailed(EXIT_UNREACHABLE, why, is_drop=True))

    def _timeout(self) -> None:
        self._stop(EnquiryFailed(EXIT_UNREACHABLE, f"not finished within {self._timeout_s:g} s"))

    def _stop(self, error: EnquiryFailed) -> None:
        if self._is_closing:
            return
        self._later(STOP_LIMIT_S, self._stop_is_late, error)
        self._enquiry.stop(error, self._now_ns())
        self._go_on()

    def _stop_is_late(self, error: EnquiryFailed) -> None:
        self._enquiry.stop(error, self._now_ns())
        self._go_on()

    # -- the end ----------------------------------------------------------------------------------------------------

    def _later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._calls.append(self._reactor.callLater(seconds, call, *arguments))

    def _close(self) -> None:
        self._is_closing = True
        for call in [*self._calls, self._timer]:
            if call is not None and call.active():
                call.cancel()
        limit = self._reactor.callLater(CLOSE_LIMIT_S, self._client.drop, "the other side does not close")

        def closed(_: Any) -> None:
            if limit.active():
                limit.cancel()
            self._fire()

        both = [self._client.stop()]
        if self._beside is not None:
            both.append(self._beside._finished)
            self._beside.interrupt()
        DeferredList(both).addBoth(closed)

    def _fire(self) -> None:
        error = self._enquiry.error
        if error is None:
            self._finished.callback(self._enquiry.result)
        elif isinstance(error, EnquiryRefused):
            self._finished.errback(Failure(failure_of(error)))
        else:
            self._finished.errback(Failure(error))


class EnquirerAgain:
    """One conversation after the other, each on a connection of its own, until one comes to its end."""

    def __init__(
        self, reactor: Any, make: Callable[[], Enquirer], pause_s: Callable[[EnquiryFailed], float | None]
    ) -> None:
        self._reactor, self._make, self._pause_s = reactor, make, pause_s
        self._enquirer: Enquirer | None = None
        self._timer: Any = None
        self._is_stopped = False
        self._finished: Deferred[Any] = Deferred()

    def start(self) -> "Deferred[Any]":
        """Hold the first; the Deferred fires with the result of the last."""
        self._begin()
        return self._finished

    def interrupt(self) -> None:
        """Stop for a person, as `Enquirer.interrupt`."""
        self._is_stopped = True
        if self._enquirer is not None:
            self._enquirer.interrupt()
        elif self._timer.active():
            self._timer.cancel()
            self._finished.errback(Failure(EnquiryFailed(EXIT_INTERRUPTED, "interrupted")))

    def _begin(self) -> None:
        try:
            self._enquirer = self._make()
        except ValueError:  # a root file that cannot be used
            self._finished.errback(Failure())
            return
        self._enquirer.start().addCallbacks(self._finished.callback, self._failed)

    def _failed(self, failure: Failure) -> None:
        self._enquirer = None
        error, pause_s = failure.value, None
        if isinstance(error, EnquiryFailed) and error.is_drop and not self._is_stopped:
            pause_s = self._pause_s(error)
        if pause_s is None:
            self._finished.errback(failure)
        else:
            self._timer = self._reactor.callLater(pause_s, self._begin)


def enquire(
    config: Config,
    client: ClientSecrets,
    script: Script[Result],
    *,
    timeout_s: float | None = None,
    reactor: Any = None,
    on_progress: Callable[[str], None] | None = None,
) -> Result:
    """Run the reactor for one conversation with the config's venue; return what the script returns.

    Args: `script` as `bot.ctrader.enquiry` describes; `timeout_s` bounds it once the application is authorised;
        `reactor` is a running-to-be Twisted reactor, None takes the process's own; `on_progress` gets a line now and
        then. An interrupt (SIGINT, SIGTERM) is thrown into the script, which may still put things in order.
    Raises: EnquiryFailed: 3 not authorised, 4 unreachable, untrusted or late, 130 interrupted. ConfigError for a
        `venue.ca_file` that cannot be used.
    """
    reactor = reactor or _own_reactor()
    enquirer = new_enquirer(config, client, script, reactor, timeout_s=timeout_s, on_progress=on_progress)
    return run_task(reactor, enquirer.start, enquirer.interrupt)  # type: ignore[no-any-return]


def enquire_again(
    config: Config,
    client: ClientSecrets,
    new_script: Callable[[], Script[Result]],
    pause_s: Callable[[EnquiryFailed], float | None],
    *,
    reactor: Any = None,
    on_progress: Callable[[str], None] | None = None,
) -> Result:
    """Run the reactor for a conversation that is begun anew on a new connection when its own is lost.

    Args: `new_script` makes the script of each; `pause_s` says how long to wait before the next, None to give up.
    Raises: as `enquire`.
    """
    reactor = reactor or _own_reactor()

    def make() -> Enquirer:
        return new_enquirer(config, client, new_script(), reactor, on_progress=on_progress)

    again = EnquirerAgain(reactor, make, pause_s)
    return run_task(reactor, again.start, again.interrupt)  # type: ignore[no-any-return]


def _own_reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def new_enquirer(
    config: Config,
    client: ClientSecrets,
    script: Script[Any],
    reactor: Any,
    *,
    timeout_s: float | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Enquirer:
    """Return an enquirer for the config's venue that has not started.

    Raises: ConfigError for a `venue.ca_file` that cannot be used.
    """
    host, port = venue_address(config)
    enquiry = Enquiry(script, client.client_id, client.client_secret, f"enquiry-{secrets.token_hex(4)}")
    random = secrets.SystemRandom().random

    def connect(listener: Enquirer) -> VenueClient:
        return VenueClient(reactor, host, port, config.venue.ca_file, listener, jitter=random)

    try:
        return Enquirer(
            reactor,
            enquiry,
            connect,
            run_clock(),
            connect_timeout_s=config.venue.connect_timeout_s,
            timeout_s=timeout_s,
            on_progress=on_progress,
        )
    except TrustUnavailable as error:
        raise config.error_at("venue.ca_file", str(error)) from None
