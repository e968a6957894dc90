"""A bot that may be killed at any point, and the embedded venue that outlives it, on one virtual clock.

How it works: the venue and the state directory stay; a bot is put together as `app.run_live` does, without sockets, and
is started anew, with a run id of its own, after each death. Time goes to whatever is due next. `settle` ends every
fault and lets time pass until nothing is on its way; then `world_truth.differences` must find none.
"""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from order_watch import OrderWatch
from twisted.internet.task import Clock
from week_witness import Witness
from wired_bot import ACCOUNT, CLIENT, START, TOKEN
from wish_board import WISH
from world_deaths import Deaths, Killed, LedgerTap
from world_link import WorldLink

from bot.assembly import Run, assemble, open_ledger, restored
from bot.config import Config
from bot.engine.decision import Decision, OrderChange
from bot.net.driver import Driver
from bot.net.outcome import DriverSettings
from bot.sim.entities import AccountSettings
from bot.sim.faults.script import Fault
from bot.sim.market import open_market
from bot.sim.protocol import Link
from bot.sim.venue import Venue

LABEL = "microlev"
ON_CALL = str(Path(__file__).with_name("strategy_on_call.py"))
HOP_S, BUSY_S = 2.0, 3.0
"""In dull times the clock goes on by `HOP_S`, as under a reactor that is busy elsewhere; else to all that is due."""
LINGER_S = 0.5
"""What a killed process has written may reach the venue as much later; only then it is started again."""
_MOST_AT_ONCE = 10_000

SYMBOLS: dict[str, dict[str, Any]] = {
    "EURUSD": {"direction": "long"},
    "USDJPY": {"direction": "short", "weight": 0.5},
    "BTCUSD": {"direction": "long", "weight": 0.5},
}


@dataclass(frozen=True)
class Kind:
    """What kind of account, market and bot a world has. Units: `speed` of the market against its clock."""

    account_type: str = "hedged"
    deposit_currency: str = "USD"
    strategy: str = ON_CALL
    scenario: str = "calm"
    speed: float = 1 / 10
    leverage: int = 500
    margin_calculation: str = "MAX"
    margin_mode: str = "recomputed"
    commission_per_million: int = 0
    base_leverage: float = 3.0
    sections: dict[str, Any] = field(default_factory=dict)
    seed: int = 1

    def config(self, folder: Path) -> Config:
        """Return the config of its bot, which trades as soon as there is a reason."""
        making = self.strategy == "market-making"
        parameters = {"beta": 0, "volatility_power": 0, "volatility_prior_bps": 0.05, "k": 4, "intensity": 1}
        content: dict[str, Any] = {
            "venue": {"environment": "simulator", "connect_timeout_s": 3_000},
            "account": {"id": ACCOUNT, "label": LABEL},
            "mode": "trade",
            "symbols": {
                name: {**chosen, "direction": "signal"} if making else chosen for name, chosen in SYMBOLS.items()
            },
            "on_manual_close": "reopen",
            "strategy": {
                "name": self.strategy,
                "base_leverage": self.base_leverage,
                **({"parameters": parameters} if making else {}),
            },
            "sizing": {
                "warm_up_s": 0,
                "persistence_s": 0,
                "max_increase_frac_per_min": 1,
                "band": 0.01,
                "calendar": False,
            },
            "risk": {"stale_quote_s": 60, "max_daily_loss_frac": 0.9, "max_drawdown_frac": 0.9},
            "execution": {"settle_s": 1, "min_interval_s": 0.5, "order_timeout_s": 3, "max_slippage_bps": 50},
            "state": {"directory": str(folder / "state")},
        }
        for name, section in self.sections.items():
            content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
        return Config.model_validate(content)


class TradingWorld:
    """One account at one venue, and the bot that trades it, life after life.

    `intents` holds every intent that was committed to the ledger, in any life; `changes` the last word on each order.
    """

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.kind, self.folder = kind, folder
        self.config = kind.config(folder)
        self.clock = Clock()
        balance = {"USD": 200_000, "EUR": 180_000, "JPY": 30_000_000}[kind.deposit_currency]
        self.venue = Venue(
            open_market(f"synthetic:{kind.scenario}", seed=kind.seed, start_ns=START, speed=kind.speed),
            accounts=[
                AccountSettings(
                    ACCOUNT,
                    kind.account_type,
                    kind.deposit_currency,
                    Decimal(balance),
                    kind.leverage,
                    kind.margin_calculation,
                    Decimal(kind.commission_per_million),
                    margin_mode=kind.margin_mode,
                )
            ],
            client_id=CLIENT.client_id,
            client_secret=CLIENT.client_secret,
            access_token=TOKEN.access_token,
            refresh_token=str(TOKEN.refresh_token),
            start_ns=START,
            seed=kind.seed,
        )
        WISH.share = 1.0
        self.counts: Counter[str] = Counter()
        self.deaths = Deaths()
        self.orders = OrderWatch(self.venue, LABEL, self.config.risk, self.now_ns)
        self.intents: dict[str, Any] = {}
        self.changes: dict[str, OrderChange] = {}
        self.story: list[str] = []
        self.has_failed = False
        self._written_ids: set[str] = set()
        self._busy_until_s = 0.0
        self.lives = 0
        self.start()

    # -- lives of the bot ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process with the state that the last one has left."""
        self.lives += 1
        self.run: Run = assemble(self.config, CLIENT, TOKEN, f"life{self.lives}")
        open_ledger(self.run)
        told_first = restored(self.run)
        self.run.ledger = LedgerTap(self.run.ledger, self.deaths, self._note_intent)  # type: ignore[assignment]
        session = self.run.session
        self.witness = Witness(lambda: session.ready)
        self.witness.order_ids = self._written_ids  # of every life
        self.orders.begin(self.run, lambda: self.driver.figures.unanswered)
        chance = Random(f"{self.kind.seed}/{self.lives}")

        def link(driver: Driver) -> WorldLink:
            given = (self.clock, driver, self.venue, self.now_ns, chance, self.witness)
            return WorldLink(*given, deaths=self.deaths, orders=self.orders)

        self.driver = Driver(
            self.clock,
            DriverSettings(3_000.0, None, False),
            session,
            self.run.engine,
            self.run.pipeline,
            link,
            self.now_ns,
            ledger=self.run.ledger,
            watchers=[self._watch],
            first_inputs=told_first,
        )
        self.link: Any = self.driver._client
        self.result: Any = None
        try:
            self.driver.start().addBoth(self._ended)
        except Killed as killed:  # a death that the life before has not met
            self.story.append(f"{self.clock.seconds():.3f} s: killed at its start ({killed})")
            self.die()
        self.busy()

    def die(self) -> None:
        """Kill the process here and now, let what it wrote arrive, and start another."""
        self.deaths.disarm()
        self.counts["deaths"] += 1
        left = self.link.leave()
        for call in list(self.clock.getDelayedCalls()):
            call.cancel()
        assert self.run.ledger is not None
        self.run.ledger.close()
        self._linger(left)
        self.start()

    def stop(self) -> None:
        """Stop the bot as a person does, and start another."""
        from bot.net.outcome import Outcome

        self.counts["stops"] += 1
        life = self.lives
        try:
            self.driver.stop(Outcome(0))
        except Killed as killed:
            self.story.append(f"{self.clock.seconds():.3f} s: killed ({killed})")
            self.die()
        limit_s = self.clock.seconds() + 20
        while self.result is None and self.lives == life and self.clock.seconds() < limit_s:
            self.let(0.25)
        if self.lives != life:
            return  # it was killed meanwhile
        self._check_alive(may_end=True)
        assert self.result is not None, self.tell(["it does not stop"])
        for call in list(self.clock.getDelayedCalls()):
            call.cancel()
        self.start()

    def close(self) -> None:
        """Give the ledger's lock back."""
        if self.run.ledger is not None:
            self.run.ledger.close()

    def _ended(self, result: Any) -> None:
        self.result = result

    # -- time ---------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The time of bot and venue."""
        return START + round(self.clock.seconds() * 1e9)

    def busy(self) -> None:
        """Something has happened: the clock is to stop at all that is due for a while."""
        self._busy_until_s = self.clock.seconds() + BUSY_S

    def let(self, seconds: float) -> None:
        """Let time pass; a process that dies is started again. Raises: AssertionError for a broken promise."""
        until_s = self.clock.seconds() + seconds
        while self.clock.seconds() < until_s - 1e-9:
            try:
                self._live(until_s)
            except Killed as killed:
                self.story.append(f"{self.clock.seconds():.3f} s: killed ({killed})")
                self.die()
            if self.result is not None:
                return

    def _live(self, until_s: float) -> None:
        stood_still = 0
        while self.clock.seconds() < until_s - 1e-9:
            before_s = self.clock.seconds()
            self._step(until_s)
            self.link.pump()
            if self.orders.meddled:
                self.orders.compare()
            if self.orders.problems or self.witness.problems:
                raise AssertionError(self.tell([*self.orders.problems, *self.witness.problems]))
            if self.result is not None:
                self._check_alive(may_end=True)
                return
            stood_still = stood_still + 1 if self.clock.seconds() == before_s else 0
            assert stood_still < _MOST_AT_ONCE, self.tell(["time stands still"])

    def _step(self, until_s: float) -> None:
        """Let the clock go to what is due next, and the venue with it."""
        now_s = self.clock.seconds()
        venue_ns = self.venue.next_event_ns()
        due_s = now_s + HOP_S
        if not self._is_dull():
            if self.clock.calls:
                due_s = min(due_s, self.clock.calls[0].getTime())
            if venue_ns is not None:
                due_s = min(due_s, (venue_ns - START) / 1e9)
        self.clock.advance(max(min(due_s, until_s) - now_s, 0.0))
        now_ns = self.now_ns()
        if venue_ns is not None and venue_ns == now_ns + 1:
            now_ns = venue_ns  # what seconds in a float have lost of a nanosecond
        self.venue.advance(now_ns)

    def _linger(self, left: Link | None) -> None:
        """Let time pass at the venue, with nobody there; what it tells the dead is read by nobody."""
        until_s = self.clock.seconds() + LINGER_S
        while self.clock.seconds() < until_s - 1e-9:
            self._step(min(until_s, self.clock.seconds() + LINGER_S / 8))
            if left is not None:
                left.segments_to_send(self.now_ns())
        if left is not None:
            left.close()

    def _is_dull(self) -> bool:
        return (
            self.clock.seconds() > self._busy_until_s
            and self.run.session.ready
            and not self.driver.figures.unanswered
            and not self.link.cut
        )

    def _check_alive(self, *, may_end: bool) -> None:
        is_outcome = self.result is None or hasattr(self.result, "exit_code")
        if not is_outcome:
            raise AssertionError(self.tell([self.result.getTraceback()]))
        if self.result is not None and (not may_end or self.result.exit_code):
            raise AssertionError(self.tell([f"the bot has ended: {self.result}"]))

    # -- what happens -------------------------------------------------------------------------------------------------

    def play(self, what: Any, **named: Any) -> None:
        """Let a fault of the venue begin, or wait for what sets it off."""
        fault = Fault(what, **named)
        when = fault.when
        self.note(" ".join(map(str, (what, fault.scope, *when.on_request, *when.on_event, *when.kinds))))
        self.venue.stage.play(fault, self.now_ns())

    def note(self, line: str) -> None:
        """Remember what was done, for the story."""
        self.story.append(f"{self.clock.seconds():.3f} s: {line}")
        self.orders.acts += 1
        self.busy()

    def meddle(self) -> None:
        """Say that somebody else has traded, in any symbol: what the bot believes of them may be out of date."""
        self.orders.meddled = set(self.venue.specs)

    def calm(self) -> None:
        """End every fault that waits or lasts, and let no new one begin."""
        stage, mishaps, venue = self.venue.stage, self.venue.mishaps, self.venue
        for waiting in (*stage._watches.values(), mishaps._fills, mishaps._rejections):
            waiting.clear()
        stage._refresh()
        self.deaths.disarm()
        self.link.cut = ""
        for symbol_id in venue.specs:
            venue.restore_book(symbol_id)
            venue.resume_trading(symbol_id)
            if venue.specs[symbol_id].trading_mode != "ENABLED":
                venue.set_trading_mode(symbol_id, "ENABLED")
        self.note("calm")

    # -- what is seen -------------------------------------------------------------------------------------------------

    def _watch(self, decision: Decision) -> None:
        for change in decision.order_changes:
            self.counts[change.state] += 1
            self.changes[change.order.client_order_id] = change
        for refused in decision.refused:
            self.counts[f"refused: {refused.check}"] += 1

    def _note_intent(self, intent: Any) -> None:
        assert intent.client_order_id not in self.intents, f"{intent.client_order_id} is in the ledger twice"
        self.intents[intent.client_order_id] = intent

    def tell(self, wrong: list[str]) -> str:
        """Return what is wrong, with what led there."""
        self.has_failed = True
        lately = "\n  ".join(self.story[-40:])
        return f"{self.kind} at {self.clock.seconds():.3f} s:\n" + "\n".join(wrong) + f"\nbefore:\n  {lately}"
