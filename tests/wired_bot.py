"""The whole bot on one virtual clock: driver, engine, journal and ledger, joined to the embedded venue in memory.

`WiredBot` is what `app.run_live` puts together, with two differences: the reactor is Twisted's `Clock`, and the client
is a `WiredClient`, which carries bytes to the venue's link and back whenever a step of the clock is over, and plays the
network: it loses links, is refused, and tries again.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bot.assembly import Run, assemble, open_journal, open_ledger, restored
from bot.cli.summary import summarise
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.config.token_file import read_token_file
from bot.ctrader.framing import FrameReader
from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.schema import message, message_for
from bot.engine.decision import Decision
from bot.engine.paper_fills import paper_venue
from bot.journal.recording import Recording
from bot.net.client import LONGEST_RETRY_S, retry_delay_s
from bot.net.companion import Companions
from bot.net.driver import Driver
from bot.net.outcome import DriverSettings, Outcome
from bot.net.steering import Steering, steered
from bot.net.telemetry import opened
from bot.net.token_keeper import TokenKeeper
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.protocol import Link
from bot.sim.venue import Venue

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ACCOUNT = 1_000_001
RUN_ID = "run1"
CLIENT = ClientSecrets("the-client-id", "the-client-secret")
TOKEN = Token("the-access-token", "the-refresh-token")
STEP_S = 1 / 128  # exact as a float and in ns, so that no rounding moves a timer to another step


def bot_config(folder: Path, *, trade: bool = False, **changes: Any) -> Config:
    """Return a config that trades within a few seconds; `changes` replace whole sections."""
    content: dict[str, Any] = {
        "venue": {"environment": "simulator", "connect_timeout_s": 30},
        "account": {"id": ACCOUNT},
        "mode": "trade" if trade else "dry-run",
        "symbols": {"EURUSD": {"direction": "long"}, "USDJPY": {"direction": "short", "weight": 0.5}},
        "strategy": {"name": "constant", "base_leverage": 3},
        "state": {"directory": str(folder / "state")},
    }
    return Config.model_validate(content | changes)


def virtual_venue(
    market: str = "synthetic:calm",
    *,
    account_type: str = "hedged",
    deposit_currency: str = "USD",
    symbols: Sequence[str] = (),
) -> Venue:
    """Return the embedded venue, at `START`; `symbols` are listed beside the default ones."""
    return Venue(
        open_market(market, seed=1, start_ns=START, speed=1.0, symbols=symbols),
        accounts=[AccountSettings(ACCOUNT, account_type, deposit_currency, Decimal(10_000))],
        client_id=CLIENT.client_id,
        client_secret=CLIENT.client_secret,
        access_token=TOKEN.access_token,
        refresh_token=str(TOKEN.refresh_token),
        start_ns=START,
    )


class WiredClient:
    """In place of a `VenueClient`: no TLS and no sockets, the same calls and the same order of them.

    Segments of the venue are deliveries of their own. What is written while the venue does not read waits here, as in
    a network. The pauses between attempts are those of the real client, without jitter; after a loss they grow only if
    the link `backs_off`, so that tests that cut it again and again need not wait.
    """

    def __init__(self, clock: Clock, listener: Driver, venue: Venue | None, now_ns: Callable[[], int]) -> None:
        self._clock, self._listener, self._venue, self._now_ns = clock, listener, venue, now_ns
        self.link: Link | None = None
        self.sent: list[bytes] = []
        self.attempts_ns: list[int] = []
        self.calls: list[str] = []
        self.note_write: Callable[[bytes], None] = lambda data: None
        self.is_deaf = False  # what the venue says does not arrive
        self.is_mute = False  # what the bot writes does not arrive
        self.mute_from: bytes | None = None  # from the first delivery on that holds these bytes
        self.never_closes = False
        self.backs_off = False  # as the real client: a link that did not last counts as a failed attempt
        self._on_the_way = bytearray()
        self._drop_reason: str | None = None
        self._failed_in_a_row = 0
        self._up_since_s = self._not_before_s = 0.0
        self._is_running = False
        self._closing: Deferred[None] | None = None

    def start(self) -> None:
        self.calls.append("start")
        self._is_running = True
        self._clock.callLater(0, self.connect)

    def connect(self) -> None:
        if not self._is_running or self._venue is None or self.link is not None:
            return
        self.attempts_ns.append(self._now_ns())
        link = self._venue.connect(self._now_ns())
        if link.is_closed:
            self._failed_in_a_row += 1
            self._listener.link_failed(f"no link to the venue: {link.close_reason}")
            self._try_again()
            return
        self.link, self._up_since_s = link, self._clock.seconds()
        self._listener.link_up(self._write)

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        self._is_running = False
        if self.never_closes:
            self._closing = Deferred()  # until it is dropped
            return self._closing
        self._lose("stopped")
        return succeed(None)

    def held(self, held: KindHeld) -> None: ...

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None:
        self.calls.append(f"drop: {reason}")
        self._not_before_s = self._clock.seconds() + retry_in_s
        if self.link is not None:
            self._drop_reason = reason
        # A transport tells of its end on a later turn, never from within the call.
        self._clock.callLater(0, self._lose, reason)

    def pump(self) -> None:
        """Let the venue hear and tell what is due."""
        if self._venue is None:
            return
        self._venue.advance(self._now_ns())
        link = self.link
        if link is None:
            return
        self._deliver()
        if self.is_deaf:
            return
        for segment in link.segments_to_send(self._now_ns()):
            self._listener.link_data(segment)
        if link.is_closed and link is self.link:
            self._lose(f"the venue closed the connection: {link.close_reason}")

    def _write(self, data: bytes) -> None:
        self.sent.append(data)
        self.note_write(data)
        if self.mute_from is not None and self.mute_from in data:
            self.is_mute, self.mute_from = True, None
        if self.link is not None and not self.is_mute:
            self._on_the_way += data
            self._deliver()

    def _deliver(self) -> None:
        if self.link is not None and self._on_the_way and self.link.is_reading and self._venue is not None:
            data, self._on_the_way = bytes(self._on_the_way), bytearray()
            self._venue.advance(self._now_ns())
            self.link.receive(data, self._now_ns())

    def _lose(self, reason: str) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None
            self._on_the_way.clear()
            lasted = self._clock.seconds() - self._up_since_s >= LONGEST_RETRY_S
            self._failed_in_a_row = self._failed_in_a_row + 1 if self.backs_off and not lasted else 1
            reason, self._drop_reason = self._drop_reason or reason, None
            self._listener.link_down(reason)
            self._try_again()
        if self._closing is not None:
            closing, self._closing = self._closing, None
            closing.callback(None)

    def _try_again(self) -> None:
        wait_s = max(0.0, self._not_before_s - self._clock.seconds())
        self._clock.callLater(wait_s + retry_delay_s(max(1, self._failed_in_a_row), lambda: 0.0), self.connect)


class Written(NamedTuple):
    """A message that the bot wrote: when, with which of its decisions, and what."""

    now_ns: int
    decision: int
    name: str
    message_id: str
    body: Any


class WiredBot:
    """A run of the bot. `result` is its Outcome, or the Failure it crashed with; None while it goes on."""

    def __init__(
        self,
        folder: Path,
        config: Config | None = None,
        venue: Venue | None = None,
        *,
        seconds: float | None = None,
        exit_on_halt: bool = False,
        watchers: Sequence[Callable[[Decision], None]] = (),
        watch: Callable[[Run], Sequence[Callable[[Decision], None]]] = lambda run: (),
        client: Callable[..., Any] = WiredClient,
        run_id: str = RUN_ID,
        token: Token = TOKEN,
        oauth: Any = None,
        clock: Clock | None = None,
        sharers: int = 1,
        is_steered: bool = False,
    ) -> None:
        self.config = config or bot_config(folder)
        self.clock = clock or Clock()
        self.venue = venue
        self.decisions: list[Decision] = []
        self.result: Outcome | Failure | None = None
        self.summary: dict[str, Any] | None = None
        # With `oauth` (False: without HTTP) the token is that of the config's token file, and kept valid.
        if oauth is not None:
            token = read_token_file(self.config.credentials.token_file)
        self.run = assemble(self.config, CLIENT, token, run_id, renewable=oauth is not None, sharers=sharers)
        if self.config.mode == "trade":
            open_ledger(self.run)
        else:
            self.run.paper = paper_venue(self.run.engine)
        open_journal(self.run, folder, CLIENT, TOKEN)
        assert self.run.journal is not None
        _made.append(self.run)
        self.journal_path = self.run.journal.path
        self.steering: Steering | None = None
        self.telemetry = opened(self.clock, self.config, self.run.session, self.run.engine)
        shown = [self.telemetry.watch] if self.telemetry is not None else []
        self.driver = Driver(
            self.clock,
            DriverSettings(self.config.venue.connect_timeout_s, seconds, exit_on_halt),
            self.run.session,
            self.run.engine,
            self.run.pipeline,
            lambda driver: client(self.clock, driver, venue, self.now_ns),
            self.now_ns,
            paper=self.run.paper,
            ledger=self.run.ledger,
            journal=self.run.journal,
            keep_token=(lambda driver: self._keeper(driver, oauth)) if oauth is not None else None,
            watchers=[self.decisions.append, *watchers, *watch(self.run), *shown],
            summarise=self._summarise,
            first_inputs=restored(self.run),
            beside=lambda driver: self._beside(driver, is_steered=is_steered),
            figures=self.run.figures,
        )
        self.client: Any = self.driver._client
        self.written: list[Written] = []
        if isinstance(self.client, WiredClient):
            self.client.note_write = self._note_write

    def _note_write(self, data: bytes) -> None:
        # A decision's bytes leave before those who watch are told of it, so it has the next number.
        for body in FrameReader().receive(data):
            wrapper = message("ProtoMessage").FromString(body)
            cls: Any = message_for(wrapper.payloadType)
            content = cls.FromString(wrapper.payload)
            self.written.append(
                Written(self.now_ns(), len(self.decisions), cls.DESCRIPTOR.name, wrapper.clientMsgId, content)
            )

    def _beside(self, driver: Driver, *, is_steered: bool) -> Companions:
        """As of `app.run_live`; the machine's clock is the run's, and a `Clock` has no Unix sockets."""
        run, steer = self.run, None
        if is_steered:
            self.steering = steered(self.clock, run.config, run.session, run.engine, driver, None, wall_ns=self.now_ns)
            steer = self.steering.answer
        shown = self.telemetry.beside(driver, steer) if self.telemetry is not None else None
        return Companions([each for each in (self.steering, shown) if each is not None])

    def command(self, command: Any, **more: Any) -> dict[str, Any]:
        """Give a command as the control socket does, and return the reply."""
        assert self.steering is not None
        return self.steering.answer({"command": command} | more)

    def _keeper(self, driver: Driver, oauth: Any) -> TokenKeeper:
        path = self.config.credentials.token_file
        told = driver.session_step, driver.learn_secret
        return TokenKeeper(self.clock, path, self.run.session, oauth or None, self.now_ns, *told)

    def now_ns(self) -> int:
        return START + round(self.clock.seconds() * 1e9)

    def _summarise(self, driver: Driver) -> dict[str, Any]:
        self.summary = summarise(self.run, driver)
        return self.summary

    def start(self) -> "WiredBot":
        def ended(result: Outcome | Failure) -> None:
            self.result = result

        self.driver.start().addBoth(ended)
        return self

    def let(self, seconds: float, step_s: float = STEP_S) -> "WiredBot":
        """Let time pass, or until the run has ended."""
        until = self.clock.seconds() + seconds
        while self.result is None and self.clock.seconds() < until - 1e-9:
            self.clock.advance(step_s)
            if self.result is None:
                self.client.pump()
        return self

    def until(self, condition: Callable[[], Any], limit_s: float = 60.0, step_s: float = STEP_S) -> "WiredBot":
        """Let time pass until a condition holds."""
        end = self.clock.seconds() + limit_s
        while not condition():
            assert self.clock.seconds() < end, f"still not so after {limit_s} s"
            assert self.result is None, self.result
            self.let(step_s, step_s)
        return self

    @property
    def encoded(self) -> list[bytes]:
        return [decision.encode() for decision in self.decisions]

    @property
    def states(self) -> list[tuple[str, str]]:
        """Every change of our orders: client order id and new state."""
        return [(c.order.client_order_id, c.state) for d in self.decisions for c in d.order_changes]

    @property
    def is_ready(self) -> bool:
        return bool(self.run.session.ready)


_made: list[Run] = []


def let_go() -> None:
    """Close what the runs made since the last call hold open, as the end of their processes would.

    A thousand tests in one process would otherwise hold more files than a process may.
    """
    while _made:
        run = _made.pop()
        if run.ledger is not None:
            run.ledger.close()
        if isinstance(run.journal, Recording):
            run.journal._writer._release()
            if run.journal._lock is not None:
                run.journal._lock.release(is_done=False)


def killed(bot: WiredBot) -> WiredBot:
    """End a run as kill -9 would: nothing is told to anybody."""
    assert bot.run.ledger is not None
    bot.run.ledger.close()
    bot.client._is_running = False
    if bot.client.link is not None:
        bot.client.link.close()
        bot.client.link = None
    return bot
