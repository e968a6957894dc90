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
from array import array
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
from bot.market.book import BID, standing_quotes
from bot.net.driver import Driver, DriverSettings
from bot.net.outcome import Outcome
from bot.net.token_keeper import TokenKeeper
from bot.sim.entities import AccountSettings
from bot.sim.faults.link_faults import LoseEvent, Silence
from bot.sim.faults.script import TIMED, name_of
from bot.sim.faults.stage import Fired
from bot.sim.listing import FX_WEEK
from bot.sim.market import open_market
from bot.sim.venue import Venue

HOUR_S, DAY_S = 3_600, 86_400
QUIET_S = 240.0
"""After the last fault the bot must be READY and agree with the venue in all things within this time."""

HOP_S, BUSY_S = 4.0, 20.0
"""In dull times the clock goes on by `HOP_S`, as under a reactor that is busy elsewhere; after a fault, for `BUSY_S` at
least, and with any order on its way, it stops at everything that is due. A bot decides four times a second, and a week
of that takes a quarter of an hour."""

SLOW_MARKET = 80
"""The market runs so much slower than its clock: a quote of a symbol about every ten seconds."""

DEPOSIT = Decimal(200_000)  # so that the smallest volume step is small beside what is held
BASE_LEVERAGE, LABEL = 2.0, "microlev"
WEIGHTS = {"EURUSD": 1.0, "USDJPY": 0.5, "BTCUSD": 0.5}
UNIT_USD = {"EURUSD": 1.1, "USDJPY": 1.0, "BTCUSD": 60_000.0}
MOST_TOO_MUCH = 1.6
"""Prices move, and money is withdrawn while a market is closed; an order that is sent twice is twice too much."""

_MOST_AT_ONCE = 10_000
_TOKEN_LIFE_S = 2_628_000
_OPAQUE = (array, ModuleType, FunctionType, BuiltinFunctionType, type, Clock, Venue, WeekLink)


def week_config(folder: Path, strategy: str) -> Config:
    """Return a config that trades as often as a slow market gives reason to."""
    return Config.model_validate(
        {
            "venue": {"environment": "simulator"},
            "account": {"id": ACCOUNT, "label": LABEL},
            "credentials": {"token_file": str(folder / "token.json")},
            "mode": "trade",
            "symbols": {
                "EURUSD": {"direction": "long", "weight": WEIGHTS["EURUSD"]},
                "USDJPY": {"direction": "short", "weight": WEIGHTS["USDJPY"]},
                "BTCUSD": {"direction": "long", "weight": WEIGHTS["BTCUSD"]},
            },
            "on_manual_close": "reopen",
            "strategy": {"name": strategy, "base_leverage": BASE_LEVERAGE},
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
        self.until_s = until_s
        self._name = (
            f"VirtualWeek(seed={seed}, until_s={until_s:g}, account_type={account_type!r}, strategy={strategy!r}, "
            f"drops_per_hour={drops_per_hour:g}, others_per_hour={others_per_hour:g})"
        )
        self.seed = seed
        self.clock = Clock()
        self.plan = plan_faults(seed, until_s, drops_per_hour, others_per_hour)
        self.fired: Counter[str] = Counter()
        self.audits = self.books_audited = 0
        self.changes: Counter[str] = Counter()
        self.reasons_seen: set[str] = set()
        self.outages = Outages()
        self.result: Outcome | Failure | None = None
        self._ahead: list[Planned] = self.plan[::-1]
        self._history: list[str] = []
        self._last_fault_s = self._over_s = 0.0
        self._loss_s = -1.0  # when something was lost that only a new connection brings back
        self._audit_s = 0.0
        self._digest = hashlib.sha256()
        self.venue = Venue(
            open_market("synthetic:calm", seed=seed, start_ns=START, speed=market_speed),
            accounts=[AccountSettings(ACCOUNT, account_type, "USD", DEPOSIT)],
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
            return TokenKeeper(self.clock, path, session, self.pages, self.now_ns, driver.session_step)

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
        """Let time pass.

        Raises: AssertionError, with all it takes to see it again, when something is not as it should be.
        """
        clock, venue, link, ahead = self.clock, self.venue, self.link, self._ahead
        problems = self.witness.problems
        stood_still = 0
        while clock.seconds() < until_s:
            now_s = clock.seconds()
            venue_ns = venue.next_event_ns()
            if self._is_dull():
                due_s = now_s + HOP_S
            else:
                due_s = min(now_s + HOP_S, clock.calls[0].getTime())
                if venue_ns is not None:
                    due_s = min(due_s, (venue_ns - START) / 1e9)
            if ahead:
                due_s = min(due_s, ahead[-1].at_s)
            clock.advance(max(min(due_s, until_s) - now_s, 0.0))
            stood_still = stood_still + 1 if clock.seconds() == now_s else 0
            assert stood_still < _MOST_AT_ONCE, self._story(["time stands still"])
            now_ns = self.now_ns()
            if venue_ns is not None and venue_ns == now_ns + 1:
                now_ns = venue_ns  # what seconds in a float have lost of a nanosecond
            venue.advance(now_ns)
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
        stage, mishaps = self.venue.stage, self.venue.mishaps
        for waiting in (*stage._watches.values(), mishaps._fills, mishaps._rejections):
            waiting.clear()
        stage._refresh()
        self._last_fault_s = max(self._last_fault_s, self.clock.seconds())
        self.run(self.clock.seconds() + limit_s)

    def close(self) -> None:
        """Stop listening to the log, and give the ledger's lock back."""
        globalLogPublisher.removeObserver(self.outages.hear)
        if self.run_parts.ledger is not None:
            self.run_parts.ledger.close()

    def _strike(self, planned: Planned, now_ns: int) -> None:
        if planned.fault is not None and planned.fault.when.trigger == TIMED:
            self._over_s = max(self._over_s, planned.at_s + (planned.fault.for_ns or 0) / SECOND)
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

    def _is_dull(self) -> bool:
        """Whether nothing is going on that a bot which comes late by `HOP_S` could miss."""
        return (
            self.clock.seconds() - self._last_fault_s > BUSY_S
            and self.run_parts.session.ready
            and not self.driver.figures.open_orders
            and not self.link.cut
        )

    # -- what is seen -----------------------------------------------------------------------------------------------

    def _watch(self, decision: Decision) -> None:
        self.outages.see(decision)
        for change in decision.order_changes:
            self.changes[change.state] += 1
        if decision.state is not None:
            self.reasons_seen.update(decision.state.reasons)
        if decision.order_changes or decision.state is not None:
            self._digest.update(f"{decision.now_ns} {decision.state} {decision.order_changes}".encode())

    def _ended(self, result: Outcome | Failure) -> None:
        self.result = result

    @property
    def planned_kinds(self) -> set[str]:
        """The names of the faults in the plan."""
        return {f"cut {p.cut}" if p.fault is None else name_of(p.fault.what) for p in self.plan}

    @property
    def digest(self) -> str:
        """A fingerprint of everything that the bot did."""
        return self._digest.hexdigest()

    def _audit(self) -> None:
        wrong = self._bought_twice()
        if wrong:
            raise AssertionError(self._story(wrong))
        if self.clock.seconds() - max(self._last_fault_s, self._over_s) < QUIET_S:
            return
        # A fill in two parts waits for an order that it can divide: that may come long after it was arranged.
        if any(order.continues_ns is not None for order in self.venue.desks[ACCOUNT].account.orders.values()):
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

    def ledger_differences(self) -> list[str]:
        """Return which of our orders the ledger remembers otherwise than the venue; for when all is over."""
        ledger, wrong = self.run_parts.ledger, []
        assert ledger is not None
        history = self.venue.desks[ACCOUNT].account.order_history.values()
        known = {order.client_order_id: order for order in history}
        for client_order_id in self.witness.order_ids:
            order, intent = known.get(client_order_id), ledger.intent(client_order_id)
            state = None if intent is None else intent.state
            if order is None:
                is_true = state in ("rejected", "resolved")  # it never came there, or was refused
            elif order.executed_cents == order.volume_cents:
                is_true = state == "filled"
            else:
                is_true = state in ("cancelled", "expired", "rejected")
            if not is_true:
                wrong.append(f"order {client_order_id} is {state} in the ledger; the venue has {order}")
        return wrong + [f"{intent.client_order_id} is open in the ledger" for intent in ledger.open_intents()]

    def _bought_twice(self) -> list[str]:
        """Return in which symbols the venue holds much more of ours than was ever wanted."""
        account, wrong = self.venue.desks[ACCOUNT].account, []
        own: Counter[str] = Counter()
        for held in account.positions.values():
            if held.label == LABEL:
                own[self.venue.specs[held.symbol_id].name] += held.volume_cents * (1 if held.is_buy else -1)
        equity = account.equity() / 100
        for name, cents in own.items():
            leverage = abs(cents) / 100 * UNIT_USD[name] / equity
            most = MOST_TOO_MUCH * BASE_LEVERAGE * WEIGHTS[name]
            if leverage > most:
                wrong.append(f"{name}: {leverage:.2f} times the equity is held, at most {most:.2f} were wanted")
        return wrong

    def _book_differences(self) -> list[str]:
        books, wrong = self.run_parts.engine.books, []
        assert books is not None
        for s, spec in enumerate(self.run_parts.engine.specs[:3]):
            seen = {i: (side == BID, price, size) for i, (side, price, size) in standing_quotes(books, s).items()}
            shown = self.venue.books[spec.symbol_id]
            if seen != {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in shown.quotes.values()}:
                wrong.append(f"the book of {spec.name} is not the venue's")
            if books.heads["spot_e5"][s].tolist() != [shown.bid_e5, shown.ask_e5]:
                wrong.append(f"the spot prices of {spec.name} are not the venue's")
        return wrong

    def _story(self, wrong: list[str]) -> str:
        lately = "\n  ".join(self._history[-40:])
        struck = f"{sum(self.fired.values())} faults have struck, the last of them:\n  {lately}"
        return f"{self._name} at {self.clock.seconds():.3f} s:\n" + "\n".join(wrong) + f"\n{struck}"

    # -- memory -----------------------------------------------------------------------------------------------------

    def bot_bytes(self) -> int:
        """Return the size of everything that can be reached from the bot, the venue and what is in modules aside.

        Its samples of latency, two arrays of a stated size at most, are left out: they take days to fill.
        """
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
