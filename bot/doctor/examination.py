"""The whole examination in its order: access, lists, market data, margin, habits, and orders if they are wanted.

How it works: each part notes its findings as it goes; a part that finds the ground gone ends the examination, what was
found stays. It only reads, unless the plan has an `orders_tag` or tells to `provoke`. What may cost the session or the
connection comes last.
"""

from collections.abc import Callable

from bot.ctrader.enquiry import EnquiryFailed, Script
from bot.doctor.access import CannotGoOn, check_access, load_lists
from bot.doctor.demo_orders import measure_orders
from bot.doctor.excess import measure_excess
from bot.doctor.facts import ExaminationPlan, Facts
from bot.doctor.findings import EXIT_UNREACHABLE, Findings
from bot.doctor.footprint import Footprint
from bot.doctor.habits import (
    LEAST_IDLE_S,
    measure_duplicate_subscription,
    measure_idle,
    measure_round_trip,
    measure_tick_data,
)
from bot.doctor.listing import check_symbols
from bot.doctor.margin import check_margin
from bot.doctor.second_connection import measure_second_connection
from bot.doctor.silence import measure_silence
from bot.doctor.streams import check_streams, listen, measure_depth, subscribe
from bot.doctor.token_refresh import measure_refresh

MARKET_S = 15.0
"""How much of a long listening the market gets; the rest is left idle, to see what the venue does then."""


class Examination:
    """One examination. `script` is what an `Enquiry` runs; findings are told one by one as they come."""

    def __init__(self, plan: ExaminationPlan, findings: Findings, on_progress: Callable[[str], None]) -> None:
        self.facts = Facts(plan, findings, on_progress)
        self.footprint = Footprint(plan.orders_tag or "none")
        self.has_begun = False

    def script(self) -> Script[None]:
        """Examine; a script.

        Raises: EnquiryFailed (2) when orders or provocations are wanted on an account not known to be a demo.
        """
        self.has_begun = True
        try:
            yield from self._parts()
        except CannotGoOn:
            return

    def _parts(self) -> Script[None]:
        facts, plan = self.facts, self.facts.plan
        yield from check_access(facts)
        yield from load_lists(facts)
        yield from check_symbols(facts)
        yield from subscribe(facts)
        market_s, idle_s = listening_times(plan.listen_s)
        yield from listen(facts, market_s)
        check_streams(facts)
        for spec in facts.specs:
            yield from check_margin(facts, spec)
        yield from measure_round_trip(facts)
        yield from measure_depth(facts)
        yield from measure_duplicate_subscription(facts)
        yield from measure_tick_data(facts)
        if plan.orders_tag is not None:
            yield from measure_orders(facts, self.footprint)
        if plan.provoke:
            yield from measure_second_connection(facts)
            yield from measure_refresh(facts)
            yield from measure_excess(facts)
        yield from measure_idle(facts, idle_s)
        if plan.provoke:
            yield from measure_silence(facts, plan.listen_s)

    def failed(self, failed: EnquiryFailed) -> None:
        """Note that the conversation ended before the examination did."""
        if self.has_begun:
            name = "conversation"
        else:
            name = "connection" if failed.exit_code == EXIT_UNREACHABLE else "application"
        self.facts.findings.check(name, "fail", failed.text, exit_code=failed.exit_code)


def listening_times(seconds: float) -> tuple[float, float]:
    """Return how long to listen to the market, and then to an idle link; the latter 0 when too little is left."""
    if seconds - MARKET_S < LEAST_IDLE_S:
        return seconds, 0.0
    return MARKET_S, seconds - MARKET_S
