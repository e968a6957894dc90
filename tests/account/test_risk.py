"""The risk gate: every check at its limit and past it, the largest volume that fits, and what it must never do."""

import ast
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.account.margin import MarginRules
from bot.account.risk import ApprovedTarget, Refused, RiskGate, RiskLimits
from bot.account.risk_view import RiskView
from bot.market.symbols import SymbolSpec

ROOT = Path(__file__).resolve().parents[2]
LIMITS = RiskLimits(
    max_leverage=10.0,
    max_symbol_leverage=8.0,
    max_margin_use_frac=0.5,
    min_margin_level_frac=1.5,
    max_orders_per_minute=30,
    stale_quote_s=5.0,
)
UNLEVERED = replace(LIMITS, max_symbol_leverage=99.0, max_leverage=99.0)
SPEC = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
VIEW = RiskView(
    ready=True,
    trading="active",
    equity=10_000.0,
    leverage=np.array([0.0, 0.0]),
    foreign_leverage=0.0,
    long_units=np.zeros(2),
    short_units=np.zeros(2),
    unit_notional=np.array([1.0, 2.0]),
    unit_notional_usd=np.array([1.0, 2.0]),
    quiet_s=np.array([1.0, 1.0]),
    doubtful=np.zeros(2, np.bool_),
    has_bids=np.ones(2, np.bool_),
    has_asks=np.ones(2, np.bool_),
    tiers=((), ()),
    margin_rules=MarginRules(100.0, "MAX"),
    netted=False,
    orders_last_minute=0,
)


def review(
    target_units: float,
    *,
    held_units: float = 0,
    spec: SymbolSpec = SPEC,
    limits: RiskLimits = LIMITS,
    foreign: bool = False,
    **view: object,
) -> ApprovedTarget | Refused:
    seen = replace(VIEW, **view)  # type: ignore[arg-type]
    return RiskGate(limits).review(seen, 0, spec, round(100 * held_units), round(100 * target_units), foreign=foreign)


def refused(verdict: ApprovedTarget | Refused) -> str:
    assert isinstance(verdict, Refused), verdict
    assert verdict.symbol == "EURUSD"
    assert verdict.reason
    return verdict.check


def approved(verdict: ApprovedTarget | Refused) -> float:
    assert isinstance(verdict, ApprovedTarget), verdict
    return verdict.target_cents / 100


TIERED = (((1e6, 9.0),), ())
NO, YES = np.zeros(2, np.bool_), np.ones(2, np.bool_)
NAN = math.nan


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("not_ready", {}, {"ready": False}),
        ("halted", {}, {"trading": "reducing"}),
        ("halted", {}, {"trading": "halted"}),
        ("stale_quote", {"quiet_s": np.array([5.0, 99])}, {"quiet_s": np.array([5.001, 0])}),
        ("stale_quote", {}, {"quiet_s": np.array([math.inf, 0])}),
        ("stale_quote", {}, {"quiet_s": np.array([NAN, 0])}),
        ("book_health", {"doubtful": np.array([False, True])}, {"doubtful": YES}),
        ("book_health", {"has_bids": NO}, {"has_asks": NO}),
        ("conversion_rate", {"unit_notional": np.array([1.0, NAN])}, {"unit_notional": np.array([NAN, 1.0])}),
        ("conversion_rate", {}, {"equity": NAN}),
        ("conversion_rate", {}, {"equity": 0.0}),
        ("conversion_rate", {}, {"equity": -1.0}),
        ("order_rate", {"orders_last_minute": 29}, {"orders_last_minute": 30}),
        ("max_leverage", {"foreign_leverage": 9.9}, {"foreign_leverage": 9.95}),
        ("max_leverage", {"leverage": np.array([9.0, 9.9])}, {"leverage": np.array([0.0, -9.95])}),
        ("max_leverage", {}, {"leverage": np.array([0.0, NAN])}),
        ("max_leverage", {}, {"foreign_leverage": NAN}),
        ("margin_use", {}, {"margin_rules": MarginRules(None, "MAX")}),
        ("margin_use", {}, {"margin_rules": MarginRules(100.0, "MAX", is_limited_risk=True)}),
        ("margin_use", {"tiers": ((), None)}, {"tiers": (None, ())}),
        ("margin_use", {"long_units": np.array([0, 240_000.0])}, {"long_units": np.array([0, 250_000.0])}),
        ("margin_use", {"unit_notional_usd": np.full(2, NAN)}, {"unit_notional_usd": np.full(2, NAN), "tiers": TIERED}),
    ],
)  # fmt: skip
def test_a_check_passes_what_is_within_its_limit_and_refuses_what_is_not(check: str, good: dict, bad: dict) -> None:
    assert approved(review(1000, **good)) == 1000
    assert refused(review(1000, **bad)) == check


@pytest.mark.parametrize(
    ("check", "spec", "target"),
    [
        ("schedule", replace(SPEC, trading_mode="DISABLED_WITH_PENDINGS_EXECUTION"), 1000),
        ("schedule", replace(SPEC, trading_mode="CLOSE_ONLY_MODE"), 1000),
        ("schedule", replace(SPEC, short_selling=False), -1000),
        ("volume_limits", SPEC, 999),
    ],
)
def test_a_symbol_that_may_not_be_traded_so_is_refused(check: str, spec: SymbolSpec, target: float) -> None:
    assert refused(review(target, spec=spec)) == check


@pytest.mark.parametrize("held", [0, 5000])
def test_a_closed_market_takes_neither_growth_nor_a_reduction_and_says_why(held: float) -> None:
    verdict = review(1000, held_units=held, foreign=True, netted=True, closings=("closed until noon", None))
    assert verdict == Refused("EURUSD", "schedule", None, None, "closed until noon")
    assert approved(review(1000, held_units=held, closings=(None, "closed until noon"))) == 1000


def test_a_symbol_without_short_selling_may_be_bought_and_a_short_closed() -> None:
    spec = replace(SPEC, short_selling=False)
    assert approved(review(1000, spec=spec)) == 1000
    assert approved(review(0, held_units=-1000, spec=spec)) == 0


@pytest.mark.parametrize(
    "view",
    [
        {"trading": "halted"},
        {"quiet_s": np.array([math.inf, 0])},
        {"doubtful": YES},
        {"equity": NAN},
        {"equity": -5.0},
        {"unit_notional": np.full(2, NAN)},
        {"orders_last_minute": 99},
        {"foreign_leverage": 99.0},
        {"leverage": np.full(2, NAN)},
        {"margin_rules": MarginRules(None, "MAX")},
        {"has_asks": NO},
    ],
)
@pytest.mark.parametrize("target", [0.0, 2000.0])
def test_a_reduction_passes_where_an_increase_would_not(view: dict, target: float) -> None:
    long_units = np.array([5000.0, 0.0])
    assert approved(review(target, held_units=5000, long_units=long_units, **view)) == target
    refused(review(6000, held_units=5000, long_units=long_units, **view))


def test_a_reduction_waits_when_nobody_is_on_the_other_side_or_the_session_is_not_ready() -> None:
    assert refused(review(0, held_units=5000, has_bids=NO)) == "book_health"
    assert refused(review(0, held_units=-5000, has_asks=NO)) == "book_health"
    assert refused(review(0, held_units=5000, ready=False)) == "not_ready"
    assert refused(review(0, held_units=5000, spec=replace(SPEC, trading_mode="DISABLED_WITHOUT_X"))) == "schedule"
    assert approved(review(0, held_units=5000, spec=replace(SPEC, trading_mode="CLOSE_ONLY_MODE"))) == 0


def test_a_netted_symbol_with_a_foreign_position_is_left_alone() -> None:
    assert refused(review(0, held_units=5000, foreign=True, netted=True)) == "foreign_position"
    assert approved(review(0, held_units=5000, foreign=True)) == 0


def test_a_flip_is_reviewed_as_the_close_that_comes_first() -> None:
    verdict = review(-3000, held_units=5000, trading="halted", long_units=np.array([5000.0, 0]))
    assert approved(verdict) == 0
    assert isinstance(verdict, ApprovedTarget)
    assert (verdict.margin_before, verdict.margin_after, verdict.margin_level_after) == (50.0, 0.0, None)


def test_an_increase_is_cut_to_each_limit_and_says_which() -> None:
    for limits, fits, named in [
        (LIMITS, 80_000, "max_symbol_leverage"),
        (replace(LIMITS, max_symbol_leverage=99.0), 100_000, "max_leverage"),
        (UNLEVERED, 500_000, "margin_use"),
        (replace(UNLEVERED, min_margin_level_frac=4.0), 250_000, "margin_level"),
    ]:
        verdict = review(600_000, limits=limits)
        assert approved(verdict) == fits
        assert isinstance(verdict, ApprovedTarget)
        assert named in verdict.note
        assert f"cut from 600000 to {fits} units" in verdict.note
        assert approved(review(fits, limits=limits)) == fits, "the limit itself is allowed"


def test_margin_figures_tell_of_before_and_after() -> None:
    verdict = review(-7000, held_units=-5000, short_units=np.array([5000.0, 0]), leverage=np.array([-0.5, 0.0]))
    assert isinstance(verdict, ApprovedTarget)
    assert (verdict.margin_before, verdict.margin_after) == (50.0, 70.0)
    assert verdict.margin_level_after == pytest.approx(10_000 / 70)


def test_a_hedged_increase_adds_to_its_side_and_a_netted_one_to_the_net() -> None:
    both = {"long_units": np.array([5000.0, 0]), "short_units": np.array([2000.0, 0])}
    for rule, hedged, after in [("MAX", True, 60.0), ("SUM", True, 80.0), ("NET", True, 40.0), ("SUM", False, 40.0)]:
        verdict = review(4000, held_units=3000, margin_rules=MarginRules(100.0, rule), netted=not hedged, **both)
        assert isinstance(verdict, ApprovedTarget)
        assert verdict.margin_after == pytest.approx(after), (rule, hedged)


def test_increases_on_their_way_count_as_if_they_were_there() -> None:
    pending = np.array([0.0, 45_000.0])  # nine equities' worth
    assert approved(review(20_000, pending_units=pending)) == 10_000
    assert approved(review(20_000, pending_units=-pending)) == 10_000
    limits = replace(LIMITS, max_symbol_leverage=99.0, max_leverage=99.0)
    assert approved(review(600_000, limits=limits, pending_units=pending)) == 410_000
    assert approved(review(600_000, limits=limits, pending_units=pending, netted=True)) == 410_000
    unknown = {"unit_notional": np.array([1.0, NAN])}
    assert refused(review(1000, pending_units=pending, **unknown)) == "max_leverage"
    assert approved(review(1000, pending_units=np.zeros(2), **unknown)) == 1000


def test_what_is_exactly_at_a_limit_is_not_past_it() -> None:
    for tenths in range(1, 80):
        limits = replace(LIMITS, max_symbol_leverage=tenths / 10)
        assert approved(review(1000 * tenths, limits=limits)) == 1000 * tenths


CAPS = ((500, 6000), (500, 8000), (10, 300), (2000, 60_000))


@given(
    held=st.integers(0, 20),
    wanted=st.integers(1, 60),
    smallest=st.sampled_from([1, 1000, 1500, 5000]),
    step=st.sampled_from([1000, 2000]),
    side=st.sampled_from([1, -1]),
    foreign_units=st.integers(0, 30),
    foreign_side=st.sampled_from([1, -1]),
    rule=st.sampled_from(["MAX", "SUM"]),
    # Off every multiple of a step, so that no verdict hangs on the last bit of a float.
    caps=st.tuples(*(st.integers(*ends).map(lambda k: k / 1000 + 0.00037) for ends in CAPS)),
    tiers=st.sampled_from([(), ((10_000.0, 100.0), (20_000.0, 20.0), (50_000.0, 5.0))]),
)
@settings(max_examples=200)
def test_the_cut_volume_is_the_largest_that_fits(
    held: int,
    wanted: int,
    smallest: int,
    step: int,
    side: int,
    foreign_units: int,
    foreign_side: int,
    rule: str,
    caps: tuple[float, float, float, float],
    tiers: tuple,
) -> None:
    spec = replace(SPEC, min_volume_cents=100 * smallest, step_volume_cents=100 * step)
    limits = RiskLimits(caps[1], caps[0], caps[2], caps[3], 30, 5.0)
    held_units, wanted_units = side * 1000 * held, side * 1000 * (held + wanted)
    ours, theirs = np.array([1000.0 * held, 0.0]), np.array([1000.0 * foreign_units, 0.0])
    view = replace(
        VIEW,
        leverage=np.array([held_units / 10_000, 0.0]),
        foreign_leverage=1000 * foreign_units / 10_000,
        long_units=ours * (side > 0) + theirs * (foreign_side > 0),
        short_units=ours * (side < 0) + theirs * (foreign_side < 0),
        margin_rules=MarginRules(50.0, rule),
        tiers=(tiers, ()),
    )

    def margin_of(units: float) -> float:
        return sum(1 / (min(50.0, next((r for upper, r in tiers if i < upper), tiers[-1][1]) if tiers else 50.0))
                   for i in range(0, int(units), 1000)) * 1000  # fmt: skip

    def fits(units: int) -> bool:
        leverage = (1000 * held + units) / 10_000
        sides = {1: 0.0, -1: 0.0}
        sides[side] += 1000 * held + units
        sides[foreign_side] += 1000 * foreign_units
        margins = [margin_of(sides[1]), margin_of(sides[-1])]
        margin = max(margins) if rule == "MAX" else sum(margins)
        return (
            leverage <= caps[0]
            and leverage + foreign_units / 10 <= caps[1]
            and margin / 10_000 <= caps[2]
            and 10_000 / margin >= caps[3]
        )

    grid = [k for k in range(step, 1000 * wanted + 1, step) if k >= smallest]
    best = max((k for k in grid if fits(k)), default=0)
    verdict = RiskGate(limits).review(view, 0, spec, 100 * held_units, 100 * wanted_units, foreign=False)
    if best == 0:
        refused(verdict)
    else:
        assert abs(approved(verdict) - held_units) == best


def test_a_refusal_that_cannot_be_computed_says_so_and_has_no_number() -> None:
    verdict = review(1000, margin_rules=MarginRules(None, "MAX"))
    assert isinstance(verdict, Refused)
    assert (verdict.value, verdict.limit, verdict.reason) == (None, 0.5, "margin_use cannot be computed")


def test_nobody_but_the_risk_gate_makes_an_approved_target() -> None:
    makers = set()
    for path in [*ROOT.glob("bot/**/*.py"), *ROOT.glob("strategies/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "ApprovedTarget":
                makers.add(path.relative_to(ROOT).as_posix())
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "replace" and node.args:
                assert "approved" not in ast.unparse(node.args[0]).lower(), path
    assert makers == {"bot/account/risk.py"}


def test_a_reduction_that_rests_needs_nobody_there_yet_and_growth_does() -> None:
    gate, empty = RiskGate(LIMITS), replace(VIEW, has_bids=np.zeros(2, np.bool_), has_asks=np.zeros(2, np.bool_))
    assert isinstance(gate.review(empty, 0, SPEC, 400_000, 100_000, foreign=False), Refused)
    rests = gate.review(empty, 0, SPEC, 400_000, 100_000, foreign=False, rests=True)
    assert isinstance(rests, ApprovedTarget) and rests.target_cents == 100_000
    grows = gate.review(empty, 0, SPEC, 100_000, 400_000, foreign=False, rests=True)
    assert isinstance(grows, Refused) and grows.check == "book_health"


@given(st.integers(0, 9_000_000), st.integers(0, 9_000_000))
def test_with_a_reserve_the_whole_stays_within_the_limits_and_without_one_nothing_changes(
    target: int, reserve: int
) -> None:
    gate = RiskGate(LIMITS)
    plain, with_none = (
        gate.review(VIEW, 0, SPEC, 0, target, foreign=False, **more) for more in ({}, {"reserve_cents": 0})
    )
    assert plain == with_none
    found = gate.review(VIEW, 0, SPEC, 0, target, foreign=False, reserve_cents=reserve)
    if isinstance(found, ApprovedTarget) and found.target_cents:
        assert found.target_cents + reserve <= 8 * 10_000 * 100
    assert gate.review(VIEW, 0, SPEC, 500_000, 100_000, foreign=False, reserve_cents=reserve) == gate.review(
        VIEW, 0, SPEC, 500_000, 100_000, foreign=False
    ), "a reduction needs no room"
