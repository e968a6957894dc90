"""A week of the whole bot against the embedded venue, on one virtual clock that jumps from event to event.

How it works: `VirtualWeek` puts together what `app.run_live` does, without sockets and without a journal. Time goes to
whatever is due next: a timer of the bot, a change at the venue, a fault of the plan. After each quiet spell the bot and
the venue are compared; the first difference, like the first promise that the witness saw broken, ends the week with
the seed and the faults that led there.

Chance has one source, the seed: the same seed gives the same week, to the last decision.
"""

import gc
import hashlib
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from week_faults import Planned, plan_faults
from week_link import WeekLink, WeekPages
from week_witness import Outages, Witness
from wired_bot import ACCOUNT, CLIENT, RUN_ID, SECOND, START, TOKEN

from bot.assembly import assemble, open_ledger
from bot.config import Config
from bot.config.token_file import Token, read_token_file, write_token_file
from bot.engine.decision import Decision
from bot.market.book import BID
from bot.net.driver import Driver, DriverSettings
from bot.net.outcome import Outcome
from bot.net.token_keeper import TokenKeeper
from bot.sim.entities import AccountSettings
from bot.sim.faults.link_faults import LoseEvent, Silence
from bot.sim.faults.script import name_of
from bot.sim.faults.stage import Fired
from bot.sim.listing import FX_WEEK
from bot.sim.market import open_market
from bot.sim.venue import Venue

HOUR_S, DAY_S = 3_600, 86_400
QUIET_S = 240.0
"""After the last fault the bot must be READY and agree with the venue in all things within this time."""

SLOW_MARKET = 80
"""The market runs so much slower than its clock: a quote of a symbol about every ten seconds."""

_TOKEN_LIFE_S = 2_628_000
_OPAQUE = (ModuleType, FunctionType, BuiltinFunctionType, type, Clock, Venue, WeekLink)


def week_config(folder: Path, strategy: str) -> Config:
    """Return a config that trades as often as a slow market gives reason to."""
    return Config.model_validate(
        {
            "venue": {"environment": "simulator"},
            "account": {"id": ACCOUNT},
            "credentials": {"token_file": str(folder / "token.json")},
            "mode": "trade",
            "symbols": {
                "EURUSD": {"direction": "long"},
                "USDJPY": {"direction": "short", "weight": 0.5},
                "BTCUSD": {"direction": "long", "weight": 0.5},
            },
            "on_manual_close": "reopen",
            "strategy": {"name": strategy, "base_leverage": 2},
            "sizing": {"warm_up_s": 0, "persistence_s": 0, "max_increase_frac_per_min": 1, "band": 0.02},
            "risk": {"stale_quote_s": 60, "max_daily_loss_frac": 0.9, "max_drawdown_frac": 0.9},
            "execution": {"settle_s": 1, "min_interval_s": 5, "max_slippage_bps": 50},
            "state": {"directory": str(folder / "state")},
        }
    )


class VirtualWeek:
    """One run of the bot under a plan of faults. `run(until_s)` as often as wanted, then `calm()`, then `close()`."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        until_s: float,
        account_type: str = "hedged",
        strategy: str = "liquidity-weighted",
        drops_per_hour: float = 3.0,
        others_per_hour: float = 3.0,
        market_speed: float = 1 / SLOW_MARKET,
    ) -> None:
        self.seed, self.until_s = seed, until_s
        self.clock = Clock()
        self.plan = plan_faults(seed, until_s, drops_per_hour, others_per_hour)
        self.fired: Counter[str] = Counter()
        self.audits = self.books_audited = 0
        self.changes: Counter[str] = Counter()
        self.outages = Outages()
        self.result: Outcome | Failure | None = None
        self._ahead: list[Planned] = self.plan[::-1]
        self._history: list[str] = []
        self._last_fault_s = 0.0
        self._loss_s = -1.0  # when something was lost that only a new connection brings back
        self._audit_s = 0.0
        self._digest = hashlib.sha256()
        self.venue = Venue(
            open_market("synthetic:calm", seed=seed, start_ns=START, speed=market_speed),
            accounts=[AccountSettings(ACCOUNT, account_type, "USD", Decimal(10_000))],
            client_id=CLIENT.client_id,
            client_secret=CLIENT.client_secret,
            access_token=TOKEN.access_token,
            refresh_token=str(TOKEN.refresh_token),
            start_ns=START,
            seed=seed,
        )
        self.venue.put_hours(FX_WEEK)
        self.venue.stage.listener = self._struck
        self._start_bot(folder, strategy)

    def _start_bot(self, folder: Path, strategy: str) -> None:
        config = week_config(folder, strategy)
        path = config.credentials.token_file
        write_token_file(path, Token(TOKEN.access_token, TOKEN.refresh_token, START // SECOND + _TOKEN_LIFE_S))
        self.run_parts = assemble(config, CLIENT, read_token_file(path), RUN_ID, renewable=True)
        open_ledger(self.run_parts)
        session = self.run_parts.session
        self.pages = WeekPages(self.venue, self.now_ns)
        self.witness = Witness(lambda: session.ready)

        def keeper(driver: Driver) -> TokenKeeper:
            return TokenKeeper(self.clock, path, session, self.pages, self.now_ns, driver.token_step)

        def link(driver: Driver) -> WeekLink:
            return WeekLink(self.clock, driver, self.venue, self.now_ns, Random(f"{self.seed}/link"), self.witness)

        self.driver = Driver(
            self.clock,
            DriverSettings(30.0, None, False),
            session,
            self.run_parts.engine,
            self.run_parts.pipeline,
            link,
            self.now_ns,
            ledger=self.run_parts.ledger,
            keep_token=keeper,
            watchers=[self._watch],
        )
        self.link: Any = self.driver._client
        globalLogPublisher.addObserver(self.outages.hear)
        self.driver.start().addBoth(self._ended)

    # -- time -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The time of bot and venue."""
        return START + round(self.clock.seconds() * 1e9)

    def run(self, until_s: float) -> None:
        """Let time pass. Raises: AssertionError, with all it takes to see it again, when something is not as it should."""
        clock, venue, link, ahead = self.clock, self.venue, self.link, self._ahead
        problems = self.witness.problems
        while clock.seconds() < until_s:
            now_s = clock.seconds()
            due_s = min(until_s, now_s + 60.0)
            if clock.calls:
                due_s = min(due_s, clock.calls[0].getTime())
            venue_ns = venue.next_event_ns()
            if venue_ns is not None:
                due_s = min(due_s, (venue_ns - START) / 1e9)
            if ahead:
                due_s = min(due_s, ahead[-1].at_s)
            clock.advance(max(due_s - now_s, 0.0))
            now_ns = self.now_ns()
            venue.advance(now_ns if venue_ns is None or venue_ns - now_ns > 1 else max(venue_ns, now_ns))
            while ahead and ahead[-1].at_s <= clock.seconds():
                self._strike(ahead.pop(), now_ns)
            link.pump()
            if problems or self.result is not None:
                raise AssertionError(self._story([*problems, *([str(self.result)] if self.result else [])]))
            if clock.seconds() >= self._audit_s:
                self._audit_s = clock.seconds() + 60.0
                self._audit()

    def calm(self, limit_s: float = 1_800.0) -> None:
        """Let no further fault begin, and time pass until those that last are over and all is told."""
        self._ahead.clear()
        stage = self.venue.stage
        for watches in stage._watches.values():
            watches.clear()
        self.venue.mishaps.__init__()
        stage._refresh()
        self._last_fault_s = max(self._last_fault_s, self.clock.seconds())
        self.run(self.clock.seconds() + limit_s)

    def close(self) -> None:
        """Stop listening to the log, and give the ledger's lock back."""
        globalLogPublisher.removeObserver(self.outages.hear)
        if self.run_parts.ledger is not None:
            self.run_parts.ledger.close()

    def _strike(self, planned: Planned, now_ns: int) -> None:
        if planned.fault is None:
            self.link.cut = planned.cut
            self._note(f"cut {planned.cut}", planned.line())
        else:
            self.venue.stage.play(planned.fault, now_ns)

    def _struck(self, fired: Fired) -> None:
        if fired.problem is None:
            if isinstance(fired.what, Silence | LoseEvent):
                self._loss_s = self.clock.seconds()
            self._note(name_of(fired.what), f"{(fired.time_ns - START) / 1e9:.3f} s: {fired.line()}")

    def _note(self, name: str, line: str) -> None:
        self.fired[name] += 1
        self._history.append(line)
        self._last_fault_s = self.clock.seconds()

    # -- what is seen -----------------------------------------------------------------------------------------------

    def _watch(self, decision: Decision) -> None:
        self.outages.see(decision)
        for change in decision.order_changes:
            self.changes[change.state] += 1
        if decision.order_changes or decision.state is not None:
            self._digest.update(f"{decision.now_ns} {decision.state} {decision.order_changes}".encode())

    def _ended(self, result: Outcome | Failure) -> None:
        self.result = result

    @property
    def digest(self) -> str:
        """A fingerprint of everything that the bot did."""
        return self._digest.hexdigest()

    def _audit(self) -> None:
        if self.clock.seconds() - self._last_fault_s < QUIET_S:
            return
        self.audits += 1
        wrong = self.differences()
        if wrong:
            raise AssertionError(self._story(wrong))

    def differences(self) -> list[str]:
        """Return in what the bot and the venue do not agree; to be asked when no fault has struck for a while."""
        session, engine = self.run_parts.session, self.run_parts.engine
        if not session.ready:
            return [f"not READY {QUIET_S:g} s after the last fault: {session.phase.name}, {session.last_loss}"]
        truth = self.venue.snapshot(ACCOUNT)
        wrong = []
        held = {p.position_id: p.signed_volume_cents for p in truth.positions}
        believed = {p.position_id: p.volume_cents for p in engine.portfolio.positions()}
        if held != believed:
            wrong.append(f"positions: the venue has {held}, the bot {believed}")
        if (balance := Decimal(truth.balance).scaleb(-truth.money_digits)) != engine.portfolio.balance:
            wrong.append(f"balance: the venue has {balance}, the bot {engine.portfolio.balance}")
        if truth.orders or self.driver.figures.open_orders:
            wrong.append(f"orders: the venue has {truth.orders}, the bot {self.driver.figures.open_orders}")
        if self.link.up_since_s > self._loss_s:
            self.books_audited += 1
            wrong += self._book_differences()
        return wrong

    def _book_differences(self) -> list[str]:
        books, wrong = self.run_parts.engine.books, []
        assert books is not None
        for s, spec in enumerate(self.run_parts.engine.specs[:3]):
            seen = {}
            for slot in books.quote_used[s].nonzero()[0].tolist():
                is_bid = int(books.quote_side[s, slot]) == BID
                price_e5 = int(books.quote_key[s, slot]) * (1 if is_bid else -1)
                seen[int(books.quote_id[s, slot])] = (is_bid, price_e5, int(books.quote_size[s, slot]))
            shown = self.venue.books[spec.symbol_id]
            if seen != {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in shown.quotes.values()}:
                wrong.append(f"the book of {spec.name} is not the venue's")
            if books.spot_e5[:, s].tolist() != [shown.bid_e5, shown.ask_e5]:
                wrong.append(f"the spot prices of {spec.name} are not the venue's")
        return wrong

    def _story(self, wrong: list[str]) -> str:
        lately = "\n  ".join(self._history[-40:])
        at = f"{self.clock.seconds():.3f} s"
        return f"seed {self.seed}, at {at}: " + "\n".join(wrong) + f"\nthe last faults:\n  {lately}"

    # -- memory -----------------------------------------------------------------------------------------------------

    def bot_bytes(self) -> int:
        """Return the size of everything that can be reached from the bot, the venue and what is in modules aside."""
        gc.collect()
        seen: set[int] = {id(self), id(self.outages), id(self.witness), id(self.plan)}
        waiting: list[Any] = [self.driver, self.run_parts]
        total = 0
        while waiting:
            thing = waiting.pop()
            if id(thing) in seen or isinstance(thing, _OPAQUE):
                continue
            seen.add(id(thing))
            total += sys.getsizeof(thing)
            waiting += gc.get_referents(thing)
        return total
