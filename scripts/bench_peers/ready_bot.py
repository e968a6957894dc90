"""A bot without a socket, brought to READY by the embedded venue on a clock moved by hand."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bench_peers.stream import ACCOUNT
from bot.assembly import Run, assemble
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.ctrader.framing import FrameReader
from bot.engine.decision import Decision
from bot.sim.entities import AccountSettings
from bot.sim.listing import default_symbols
from bot.sim.market import open_market
from bot.sim.protocol import Link
from bot.sim.venue import Venue

START_NS = 1_700_000_000_000_000_000
_CLIENT = ClientSecrets("the-client-id", "the-client-secret")
_TOKEN = Token("the-access-token", "the-refresh-token")
# A balance so large that the smallest order is a tiny step of leverage: then nearly every price moves the volume.
_BALANCE = Decimal(100_000_000)


def trading_config(**sections: Any) -> Config:
    """Return a config that trades all six symbols; `sections` replace whole ones."""
    content: dict[str, Any] = {
        "venue": {"environment": "simulator"},
        "account": {"id": ACCOUNT},
        "mode": "trade",
        "symbols": {spec.name: {"direction": "short", "weight": 0.2} for spec in default_symbols()},
        "strategy": {"name": "constant", "base_leverage": 2},
    }
    return Config.model_validate(content | sections)


@dataclass
class ReadyBot:
    """A run, its venue and the link between them, at `now_ns`."""

    run: Run
    venue: Venue
    link: Link
    now_ns: int = START_NS
    reader: FrameReader = field(default_factory=FrameReader)
    inputs: list[tuple[int, bytes | None]] = field(default_factory=list)
    """All that reached the bot since the link came up, with its time; None stands for a timer."""

    def deliver(self, data: bytes) -> tuple[Decision, bytes]:
        """Bytes in, bytes out: what the driver does with one read of the socket, ledger and journal aside."""
        decision = self.run.pipeline.batch(self.reader.receive(data), self.now_ns)
        return decision, self.run.pipeline.data_to_send()

    def time_out(self) -> bytes:
        """Let the bot see that time has passed; return what it sends."""
        self.run.pipeline.timer(self.now_ns)
        return self.run.pipeline.data_to_send()

    def hear(self, data: bytes) -> None:
        """Let the venue take what the bot sends."""
        if data:
            self.link.receive(data, self.now_ns)

    def step(self, step_ns: int) -> list[bytes]:
        """Let time pass for both; return what the venue says."""
        self.now_ns += step_ns
        self.venue.advance(self.now_ns)
        if self.now_ns >= self.run.pipeline.next_timeout_ns():
            self.inputs.append((self.now_ns, None))
            self.hear(self.time_out())
        segments = [data for data in self.link.segments_to_send(self.now_ns) if data]
        self.inputs += [(self.now_ns, data) for data in segments]
        return segments


def ready_bot(config: Config, market: str = "synthetic:calm") -> ReadyBot:
    """Return a bot that has just become READY. Raises: RuntimeError when it does not."""
    venue = Venue(
        open_market(market, seed=1, start_ns=START_NS, speed=1.0),
        accounts=[AccountSettings(ACCOUNT, "hedged", "USD", _BALANCE)],
        start_ns=START_NS,
        client_id=_CLIENT.client_id,
        client_secret=_CLIENT.client_secret,
        access_token=_TOKEN.access_token,
        refresh_token=str(_TOKEN.refresh_token),
    )
    bot = new_bot(config, venue)
    bot.hear(bot.run.pipeline.data_to_send())
    for _ in range(60_000):
        for data in bot.step(1_000_000):
            bot.hear(bot.deliver(data)[1])
        if bot.run.session.ready:
            return bot
    session = bot.run.session
    raise RuntimeError(f"the bot is not READY after a minute: {session.fatal or session.wants_disconnect}")


def new_bot(config: Config, venue: Venue) -> ReadyBot:
    """Return a bot whose link to the venue has just come up."""
    bot = ReadyBot(assemble(config, _CLIENT, _TOKEN, "bench"), venue, venue.connect(START_NS))
    bot.run.pipeline.link_up(START_NS)
    return bot
