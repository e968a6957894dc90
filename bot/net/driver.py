"""Drives one run over a live connection: bytes to the pipeline, Decisions to ledger, wire, journal and screen.

How it works: every input (bytes, the link, a timer, a command, a paper fill) becomes one call of the pipeline at one
moment; what it decides is handled before the next input is taken. The order of handling is fixed: what has to be on
disk is put there, bytes go to the wire, the rest to the ledger, then everything to the journal and those who watch.

Invariants: no byte of an order is written before its intent is on disk, nor one that uses a new access token before
that is; a ledger or a token file that fails stops the run. An error
of ours ends the run with its traceback. Whatever the venue does, a run that is to end ends: orders on their way get
`STOP_LIMIT_S`, the closing of the link gets `CLOSE_LIMIT_S`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from bot.ctrader.framing import FrameReader, FrameTooLong
from bot.ctrader.phases import Phase
from bot.ctrader.pipeline import Pipeline
from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.redact import redact_frames
from bot.ctrader.session import Session
from bot.ctrader.token import TokenStep
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.engine.events import CommandGiven, Event
from bot.engine.paper_fills import paper_events
from bot.execution.paper import PaperVenue
from bot.journal.format import JournalError
from bot.journal.inputs import encode_inputs
from bot.journal.ledger import Ledger
from bot.journal.recording import Recording
from bot.net.client import Connection
from bot.net.companion import Companion
from bot.net.guarded import guarded
from bot.net.outage_log import OutageLog
from bot.net.outcome import EXIT_DONE, EXIT_HALTED, EXIT_UNREACHABLE, DriverSettings, Outcome
from bot.net.safekeeping import Safekeeping
from bot.net.token_keeper import TokenKeeper
from bot.telemetry.figures import RunFigures

STOP_LIMIT_S = 10.0
CLOSE_LIMIT_S = 2.0
_log = Logger()


class Driver:
    """One run. `start` connects; the Deferred it returns fires with the Outcome when everything is put away.

    Args: `connect` builds the client for a listener; `paper` is there in a dry run, `ledger` when orders are sent,
        `keep_token` builds the keeper of a token that may be renewed; `name` starts lines in the log; `first_inputs`
        is what the engine is told before anything else; `beside` builds what starts after that and stops with the run.
    """

    def __init__(
        self,
        reactor: Any,
        settings: DriverSettings,
        session: Session,
        engine: Engine,
        pipeline: Pipeline[Decision],
        connect: Callable[["Driver"], Connection],
        now_ns: Callable[[], int],
        *,
        paper: PaperVenue | None = None,
        ledger: Ledger | None = None,
        journal: Recording | None = None,
        keep_token: Callable[["Driver"], TokenKeeper] | None = None,
        watchers: Sequence[Callable[[Decision], None]] = (),
        summarise: Callable[["Driver"], dict[str, Any]] = lambda driver: {},
        name: str = "",
        first_inputs: Sequence[Event] = (),
        beside: Callable[["Driver"], Companion] | None = None,
        figures: RunFigures | None = None,
    ) -> None:
        self.name = name
        self._first_inputs = first_inputs
        self._reactor = reactor
        self._settings = settings
        self._session = session
        self._engine = engine
        self._pipeline = pipeline
        self._now_ns = now_ns
        self._paper = paper
        self._journal = journal
        self._watchers = watchers
        self._summarise = summarise
        self._client = connect(self)
        keeper = keep_token(self) if keep_token is not None else None
        self._safe = Safekeeping(engine, session.plan.run_id, ledger, keeper)
        self._outages = OutageLog(name)
        self._reader = FrameReader()
        self._write: Callable[[bytes], None] | None = None
        self._timer: Any = None
        self._finished: Deferred[Outcome] = Deferred()
        self._outcome: Outcome | None = None
        self._is_finishing = False
        self._is_closing = False
        self._is_watched = True
        self._last_trouble = ""
        self._received_ns = 0
        self.figures = RunFigures() if figures is None else figures
        self._beside = beside(self) if beside is not None else None

    def now_ns(self) -> int:
        """The time of the run."""
        return self._now_ns()

    # -- the run ------------------------------------------------------------------------------------------------

    def start(self) -> "Deferred[Outcome]":
        """Connect and go on until the run is over."""
        self._reactor.callLater(self._settings.connect_timeout_s, self._connect_timeout)
        self._begin()
        return self._finished

    @guarded
    def _begin(self) -> None:
        self._client.start()
        self.inject(self._first_inputs)
        if self._beside is not None:
            self._beside.start()

    @guarded
    def stop(self, outcome: Outcome) -> None:
        """End the run: nothing new is opened, orders on their way get ten seconds. A second call ends it at once."""
        if self._is_finishing:
            self._client.drop("stopped")
        elif self._outcome is not None:
            self._finish()
            self._client.drop("stopped")  # a peer that is gone is not waited for
        else:
            self._outcome = outcome
            self._reactor.callLater(STOP_LIMIT_S, self._stop_is_late)
            self.inject([CommandGiven(self._now_ns(), "stop")])

    def session_step(self, step: TokenStep | KindHeld) -> None:
        """Feed news of the access token, or of another account's block, to the session."""
        self.tell([step])

    @guarded
    def tell(self, events: Sequence[Event | TokenStep | KindHeld]) -> None:
        """Feed events from beside the run, as `inject`, while it lasts."""
        if not self._is_finishing:
            self.inject(events)

    def learn_secret(self, secret: str) -> None:
        """Keep a secret out of the journal from now on."""
        if self._journal is not None:
            self._journal.add_secrets([secret.encode()])

    def inject(self, events: Sequence[Event | TokenStep | KindHeld]) -> None:
        """Feed events from this side to the engine, and to the session."""
        now = self._now_ns()
        self._handle(self._pipeline.inject(events, now), inputs=events)

    # -- the link (LinkListener) --------------------------------------------------------------------------------

    @guarded
    def link_up(self, transport_write: Callable[[bytes], None]) -> None:
        """Begin the session on a verified connection."""
        if self._is_finishing:
            return
        now = self._now_ns()
        self._write = transport_write
        self._reader = FrameReader()
        self.figures.connections += 1
        self.figures.connected_ns = now
        self._record(lambda journal: journal.link(now, True, ""))
        self._handle(self._pipeline.link_up(now))

    @guarded
    def link_data(self, data: bytes) -> None:
        """Take one delivery of the transport: the edge of a batch."""
        if self._is_finishing:
            return
        self._received_ns = time.perf_counter_ns()
        try:
            frames = self._reader.receive(data)
        except FrameTooLong as error:
            self._client.drop(str(error))
            return
        if not frames:
            return
        now = self._now_ns()
        self.figures.frames += len(frames)
        decision = self._pipeline.batch(frames, now)
        self.figures.decided_in(time.perf_counter_ns() - self._received_ns)
        self._record(lambda journal: journal.batch(now, redact_frames(frames, self._session.loud_frames)))
        self._handle(decision)

    @guarded
    def link_down(self, reason: str) -> None:
        """Take the loss of the connection."""
        self._write = None
        if self._is_finishing:
            return
        now = self._now_ns()
        if self._outcome is None and self._session.phase is not Phase.READY:
            self._trouble(f"connection lost: {reason}")  # one that was READY is told of by the outage log
        self._last_trouble, self.figures.connected_ns = reason, None
        self.figures.note_error(now, f"connection lost: {reason}")
        self._record(lambda journal: journal.link(now, False, reason))
        self._handle(self._pipeline.link_down(now, reason))

    @guarded
    def link_untrusted(self, text: str) -> None:
        """The peer did not prove who it is: before the first READY that ends the run, later it is tried again."""
        self._trouble(text)
        if self.figures.ready_ns is None and self._outcome is None:
            self._outcome = Outcome(EXIT_UNREACHABLE, text)
            self._finish()

    def link_failed(self, text: str) -> None:
        """No connection could be made; the client tries again by itself."""
        self._trouble(text)

    def _trouble(self, text: str) -> None:
        if text != self._last_trouble:
            _log.warn("{name}{text}", name=self.name, text=text)
        self._last_trouble = text
        self.figures.note_error(self._now_ns(), text)

    # -- after each input ---------------------------------------------------------------------------------------

    def _handle(self, decision: Decision, inputs: Sequence[Event | TokenStep | KindHeld] | None = None) -> None:
        failure = self._safe.keep(decision)
        if failure is None and self._write is not None:
            data = self._pipeline.data_to_send()
            if data:
                self._write(data)
            if decision.intended and inputs is None:
                self.figures.ordered_in(time.perf_counter_ns() - self._received_ns)
        failure = failure or self._safe.keep_aftermath(decision)
        if self._journal is not None:
            if inputs is not None:
                self._record(lambda journal: journal.input(decision.now_ns, encode_inputs(inputs)))
            self._record(lambda journal: journal.decision(decision.now_ns, decision.encode()))
        self._count(decision)
        self._show(decision)
        if failure is not None:
            self._outcome = failure
            self._client.drop("what has to be kept could not be written")
            self._finish()
            return
        if self._paper is not None and (fills := paper_events(self._paper, self._engine, decision)):
            self.inject(fills)
            return
        self._after(decision)

    def _after(self, decision: Decision) -> None:
        if self._session.fatal is not None and self._outcome is None:
            self._outcome = Outcome(self._session.fatal.exit_code, self._session.fatal.text)
            self._finish()
            return
        if self._session.wants_disconnect is not None and self._write is not None:
            self._client.drop(self._session.wants_disconnect, self._retry_in_s(decision.now_ns))
        self._safe.look_for_token()
        for held in self._session.take_holds():
            self._client.held(held)
        if self._outcome is not None:
            if self._engine.is_settled and not self._safe.awaits_token:
                self._finish()
                return
        elif not self._is_watched:
            self.stop(Outcome(EXIT_DONE))
            return
        elif self._settings.exit_on_halt and self._engine.is_halted_by_limit and self._engine.is_settled:
            self.stop(Outcome(EXIT_HALTED, "halted by a risk limit"))
            return
        self._set_timer()

    def _retry_in_s(self, now_ns: int) -> float:
        retry_at_ns = self._session.retry_at_ns
        return 0.0 if retry_at_ns is None else max(0.0, (retry_at_ns - now_ns) / 1e9)

    def _count(self, decision: Decision) -> None:
        if self._outcome is None:
            self._outages.observe(decision.state, decision.now_ns, self._session.last_loss)
        figures = self.figures
        figures.count(decision)
        if figures.ready_ns is None and self._session.ready:
            figures.ready_ns = decision.now_ns
            if self._settings.seconds is not None:
                self._reactor.callLater(self._settings.seconds, self._time_is_up)

    def _show(self, decision: Decision) -> None:
        for watch in self._watchers:
            try:
                watch(decision)
            except BrokenPipeError:
                # Nobody reads any more (`| head`): stop as on Ctrl-C, so that no order is left behind.
                self._watchers = [other for other in self._watchers if other is not watch]
                self._is_watched = False

    @guarded
    def _time_is_up(self) -> None:
        if self._outcome is None:
            self.stop(Outcome(EXIT_DONE))

    @guarded
    def _connect_timeout(self) -> None:
        if self.figures.ready_ns is None and self._outcome is None:
            limit = self._settings.connect_timeout_s
            why = self._last_trouble or f"the session stands at {self._session.phase.name.lower()}"
            self.stop(Outcome(EXIT_UNREACHABLE, f"not ready within {limit:g} s: {why}"))

    @guarded
    def _stop_is_late(self) -> None:
        self._finish()

    def _set_timer(self) -> None:
        due_ns = self._pipeline.next_timeout_ns()
        delay_s = max((due_ns - self._now_ns()) / 1e9, 0.0)
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + delay_s:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(delay_s, self._tick)

    @guarded
    def _tick(self) -> None:
        self._timer = None
        self._received_ns = time.perf_counter_ns()
        now = self._now_ns()
        if self._pipeline.next_timeout_ns() > now:
            self._set_timer()
            return
        decision = self._pipeline.timer(now)
        self._record(lambda journal: journal.timer(now))
        self._handle(decision)
        self._record(lambda journal: journal.flush())

    # -- the end ------------------------------------------------------------------------------------------------

    def _record(self, write: Callable[[Recording], None]) -> None:
        if self._journal is None:
            return
        try:
            write(self._journal)
        except JournalError as error:
            # The recording is not worth the positions: say it once and go on without.
            _log.error("recording stopped: {error}", error=error)
            self._journal = None

    def _crash(self, failure: Failure) -> None:
        if self._is_closing:
            _log.failure("while the run was ending", failure)
            return
        self._is_finishing = True
        # What led here is worth most now. No END record: the run did not stop cleanly.
        self._record(lambda journal: journal.sync())
        self._close(lambda: self._finished.errback(failure))

    def _finish(self) -> None:
        if self._is_finishing:
            return
        self._is_finishing = True
        if self._safe.awaits_token:
            _log.error("the answer to a token refresh has not come; if the next start is refused, log in again")
        for client_order_id, change in self.figures.unanswered.items():
            _log.warn(
                "order {id} on {symbol} has no final answer ({state}): look it up at the venue",
                id=client_order_id, symbol=change.order.symbol, state=change.state,
            )  # fmt: skip
        summary = self._summarise(self)
        self._record(lambda journal: journal.close(self._now_ns(), summary))
        outcome = self._outcome or Outcome(EXIT_DONE)
        self._close(lambda: self._finished.callback(outcome))

    def _close(self, then: Callable[[], None]) -> None:
        """Put away what is left, whatever happens, then tell."""
        self._is_closing = True
        self._journal = None
        self._cancel_timers()
        try:
            if self._beside is not None:
                self._beside.stop()
            self._safe.close()
        finally:
            closed = maybeDeferred(self._client.stop)
            # A peer that is gone never says goodbye to TLS: wait a moment, then end all the same.
            late = self._reactor.callLater(CLOSE_LIMIT_S, closed.cancel)

            def over(_: object) -> None:
                if late.active():
                    late.cancel()
                self._client.drop("stopped")
                then()

            closed.addBoth(over)

    def _cancel_timers(self) -> None:
        for call in list(self._reactor.getDelayedCalls()):
            if getattr(call.func, "__self__", None) is self:
                call.cancel()
