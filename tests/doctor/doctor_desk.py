"""An examination of an embedded venue in memory, on a virtual clock."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from bot.ctrader.enquiry import Enquiry, EnquiryFailed, EnquiryRefused, failure_of
from bot.ctrader.framing import FrameReader
from bot.doctor.examination import Examination
from bot.doctor.facts import ExaminationPlan
from bot.doctor.findings import Check, Findings, Measurement
from bot.doctor.kept_token import KeepsToken
from bot.market.symbols import SymbolSpec
from bot.sim.change import Change, Quote
from bot.sim.entities import AccountSettings
from bot.sim.listing import default_symbols
from bot.sim.market import Market, open_market
from bot.sim.venue import Venue

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND  # a Tuesday
ACCOUNT = 1_000_001
TAG = "t1"


class StillMarket(Market):
    """A market that stands still at one price a symbol, or has none at all; a test may queue changes of its own."""

    def __init__(self, *, quoted: bool = True) -> None:
        nothing: Iterator[Change] = iter(())
        specs: tuple[SymbolSpec, ...] = default_symbols()
        super().__init__(dict.fromkeys(specs, nothing), {})
        prices_e5 = (110_000, 15_000_000, 16_500_000, 127_000, 240_000_000, 6_000_000_000)
        self.queue = []
        for spec, price_e5 in zip(specs, prices_e5 if quoted else (), strict=quoted):
            bid_e5, ask_e5 = price_e5 - 1000, price_e5 + 1000
            self.queue.append(Change(START, spec.symbol_id, bid_e5, ask_e5, self.book(spec.symbol_id, bid_e5, ask_e5)))

    @staticmethod
    def book(first_id: int, bid_e5: int, ask_e5: int) -> tuple[Quote, ...]:
        """Return one level a side."""
        return Quote(first_id * 10, True, bid_e5, 10**12), Quote(first_id * 10 + 1, False, ask_e5, 10**12)

    def next_change_ns(self) -> int | None:
        return self.queue[0].time_ns if self.queue else None

    def advance(self, now_ns: int) -> list[Change]:
        due = [change for change in self.queue if change.time_ns <= now_ns]
        self.queue = [change for change in self.queue if change.time_ns > now_ns]
        return due


def venue(
    *,
    market: Market | str = "synthetic:calm",
    account: dict[str, Any] | None = None,
    tiers: dict[int, Any] | None = None,
    **changes: Any,
) -> Venue:
    """Return the embedded venue, at `START`; `tiers` are what it says, not what it charges."""
    if isinstance(market, str):
        market = open_market(market, seed=1, start_ns=START, speed=1.0)
    settings = AccountSettings(ACCOUNT, **({"balance": Decimal(10_000)} | (account or {})))
    keys = {"client_id": "app", "client_secret": "secret", "access_token": "trade", "refresh_token": "refresh"}
    made = Venue(market, accounts=[settings], start_ns=START, view_token="view", **(keys | changes))
    if tiers is not None:
        made.tiers = made.catalogue.tiers = tiers
    return made


class Talk:
    """One connection of a visit: an enquiry and the venue's end of its link."""

    def __init__(self, visit: "Visit", enquiry: Enquiry[Any]) -> None:
        self._visit, self.enquiry = visit, enquiry
        self.link, self._reader = visit.venue.connect(visit.now_ns), FrameReader()
        enquiry.connection_made(visit.now_ns)

    def carry(self) -> bool:
        """Carry what there is in both directions; return whether there was anything."""
        now_ns, ahead_ns = self._visit.now_ns, self._visit.ahead_ns
        data = b"".join(self.enquiry.data_to_send(now_ns + ahead_ns))
        if data:
            self.link.receive(data, now_ns)
        frames = self._reader.receive(self.link.data_to_send())
        for frame in frames:
            self.enquiry.receive_frame(frame, now_ns + ahead_ns)
        if self.link.is_closed and self.enquiry.next_timeout_ns() is not None:
            self.enquiry.connection_lost(now_ns + ahead_ns, "closed by the venue")
            return True
        return bool(frames or data)


class Visit:
    """One examination. `between` is called at each step with the visit, to disturb it."""

    def __init__(
        self,
        examined: Venue,
        *,
        symbols: tuple[str, ...] = ("EURUSD", "USDJPY"),
        token: str = "trade",
        environment: str = "simulator",
        trade: bool = False,
        account_id: int | None = ACCOUNT,
        seconds: float = 3,
        orders: bool = False,
        provoke: bool = False,
        keeper: KeepsToken | None = None,
        between: Callable[["Visit"], None] = lambda visit: None,
        clock_ahead_s: float = 0.0,
    ) -> None:
        self.venue = examined
        self.now_ns = START
        self.ahead_ns = round(clock_ahead_s * SECOND)
        self._between = between
        self.findings = Findings(lambda finding: None)
        plan = ExaminationPlan(
            token, account_id, environment, trade, symbols, 0.05, seconds, START, TAG if orders else None,
            provoke=provoke, keeper=keeper,
        )  # fmt: skip
        self.examination = Examination(plan, self.findings, lambda text: None)
        self.enquiry: Enquiry[None] = Enquiry(self.examination.script(), "app", "secret", "visit")

    def run(self, limit_s: float = 400) -> "Visit":
        """Let it go to its end; raise what a script should not raise."""
        self.talks = [Talk(self, self.enquiry)]
        end_ns = self.now_ns + round(limit_s * SECOND)
        while not self.enquiry.is_over:
            assert self.now_ns < end_ns, "the examination does not end"
            self._between(self)
            self.venue.advance(self.now_ns)
            carried = [talk.carry() for talk in self.talks]
            if any(carried) or self._second():
                continue
            due = [t for t in (self.venue.next_event_ns(),) if t is not None]
            for talk in self.talks:
                if (asked_ns := talk.enquiry.next_timeout_ns()) is not None:
                    due.append(asked_ns - self.ahead_ns)
            self.now_ns = max(self.now_ns + 1, min(due))
            for talk in self.talks:
                talk.enquiry.handle_timeout(self.now_ns + self.ahead_ns)
        if self.enquiry.error is not None and not isinstance(self.enquiry.error, EnquiryFailed):
            raise self.enquiry.error
        return self

    def _second(self) -> bool:
        """Begin the conversation that the examination wants beside its own, or end it; return whether it did."""
        main, *others = self.talks
        for talk in others:
            if talk.enquiry.is_over:
                self.talks.remove(talk)
                talk.link.close()
                error = talk.enquiry.error
                refused = isinstance(error, EnquiryRefused)
                outcome = failure_of(error) if refused else error if error is not None else talk.enquiry.result
                main.enquiry.beside_over(outcome, self.now_ns + self.ahead_ns)
                return True
        wanted = main.enquiry.take_beside()
        if wanted is not None:
            self.talks.append(Talk(self, wanted))
        return wanted is not None

    def check(self, name: str) -> Check:
        (found,) = [check for check in self.findings.checks if check.name == name]
        return found

    def seen(self, name: str) -> Measurement:
        (found,) = [f for f in self.findings.all if isinstance(f, Measurement) and f.name == name]
        return found

    def results(self) -> dict[str, str]:
        return {check.name: check.result for check in self.findings.checks}

    @property
    def account(self) -> Any:
        return self.venue.desks[ACCOUNT].account
