"""A report's figures against a plain recount of what was put into the ledger; what is unknown; days and their ends."""

import csv
import io
import json
import math
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.account.loss import trading_day
from bot.execution.mark_outs import DELAYS_S as TAKEN_AFTER_S
from bot.journal import broker_day
from bot.journal.day_report import DELAYS_S, day_report
from bot.journal.deal_table import COLUMNS, deal_rows
from bot.journal.kept import AccountSample, Aftermath, Intent, KeptDeal, KeptMark, KeptNotice, KeptRefusals, StateChange
from bot.journal.ledger import Ledger
from bot.journal.ledger_reader import LedgerSpan, read_everything, read_span

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = date(2026, 11, 27)
START = broker_day.start_ns(DAY)
END = broker_day.start_ns(DAY + timedelta(days=1))
ACTIONS = ("open", "increase", "reduce", "close", "place", "amend", "cancel")
ENDS = ("filled", "cancelled", "rejected", "expired", "resolved", "unknown", "accepted")


def a_deal(deal_id: int = 1, **changes: Any) -> KeptDeal:
    """Build a deal: 0.1 lots bought by us at the start of the day."""
    deal = KeptDeal(
        deal_id, 10, 20, "r-1", "EURUSD", True, "ours", 1_000_000, 0, 1.1, Decimal("-0.33"), None, None, None, None,
        None, START + 5, START + 6, 1.09999, 0.05, 0.1, 11_000.0,
    )  # fmt: skip
    return replace(deal, **changes)


# -- the oracle: loops over what was put in, integers for money


@dataclass
class Told:
    """What happened, as it was given to the ledger."""

    intents: list[Intent] = field(default_factory=list)
    deals: list[KeptDeal] = field(default_factory=list)
    marks: list[KeptMark] = field(default_factory=list)
    refusals: list[tuple[int, str, str, str]] = field(default_factory=list)
    notices: list[KeptNotice] = field(default_factory=list)
    samples: list[AccountSample] = field(default_factory=list)


cents = st.integers(-(10**9), 10**9).map(lambda n: Decimal(n) / 100)
moments = st.one_of(st.integers(START - HOUR, START + 9), st.integers(END - 9, END + HOUR), st.integers(START, END - 1))
maybe = st.booleans()


@st.composite
def histories(draw: st.DrawFn) -> Told:
    """Draw a ledger's life: orders, deals of them and of others, with and without the figures that may be missing."""
    told = Told()
    for number in range(draw(st.integers(0, 6))):
        volume = draw(st.sampled_from([-300_000, 100_000, 300_000]))
        created = draw(moments)
        kind = draw(st.sampled_from(["market", "market_range", "limit"]))
        state = draw(st.sampled_from(ENDS))
        error = "NOT_SENT" if draw(maybe) and state == "rejected" else None
        updated = created + draw(st.integers(0, SECOND))
        own_id, action = f"r-{number}", draw(st.sampled_from(ACTIONS))
        told.intents.append(Intent(own_id, "r", 1, action, volume, kind, created, None, state, updated, error))
        predicted = draw(st.one_of(st.none(), st.floats(-1, 3)))
        mid = draw(st.one_of(st.none(), st.floats(0.5, 2)))
        for part in range(draw(st.integers(0, 2))):
            each = volume // draw(st.sampled_from([1, 2, 3]))
            told.deals.append(_draw_deal(draw, 100 * number + part, own_id, each, mid, predicted))
    for number in range(draw(st.integers(0, 3))):
        told.deals.append(_draw_deal(draw, 9_000 + number, None, draw(st.sampled_from([-5, 7])), None, None))
    for deal in told.deals:
        for delay_s in draw(st.sets(st.sampled_from(DELAYS_S))):
            costs = draw(st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
            told.marks.append(KeptMark(deal.deal_id, delay_s, 1.1, *costs))
    for number in range(draw(st.integers(0, 8))):
        check = draw(st.sampled_from(["margin_use", "stale_quote"]))
        told.refusals.append((draw(moments), draw(st.sampled_from(["EURUSD", "*"])), check, f"reason {number}"))
    told.refusals.sort()
    for number in range(draw(st.integers(0, 3))):
        told.notices.append(KeptNotice(draw(moments), draw(st.sampled_from(["a", "b"])), None, f"text {number}"))
    told.notices.sort(key=lambda n: n.ns)
    for ns in draw(st.sets(moments, max_size=6)):
        equity = draw(st.one_of(st.none(), st.floats(-10, 1e6)))
        margin = draw(st.one_of(st.none(), st.just(0.0), st.floats(1, 1e5)))
        level = None if equity is None or not margin else equity / margin
        told.samples.append(AccountSample(ns, equity, draw(st.one_of(st.none(), cents)), margin, level))
    return told


def _draw_deal(
    draw: st.DrawFn, deal_id: int, own_id: str | None, volume: int, mid: float | None, predicted: float | None
) -> KeptDeal:
    closes = draw(maybe)
    executed = draw(moments)
    return a_deal(
        deal_id,
        client_order_id=own_id,
        symbol=draw(st.sampled_from(["EURUSD", "USDJPY"])),
        is_own=draw(maybe) or own_id is not None,
        cause="ours" if own_id is not None else draw(st.sampled_from(["manual", "stop_out", "protection", "unknown"])),
        volume_cents=volume,
        price=draw(st.floats(0.5, 2)),
        commission=draw(cents),
        gross_profit=draw(cents) if closes else None,
        swap=draw(cents) if closes else None,
        close_commission=draw(cents) if closes else None,
        executed_ns=executed,
        recorded_ns=executed + 3,
        decision_mid=mid,
        predicted_bps=predicted,
        lots=abs(volume) / 10_000_000,
        notional=draw(st.one_of(st.none(), st.floats(1, 1e6))),
    )


def written(told: Told, path: Path) -> None:
    """Put a history into a new ledger, as a run would: intents first, the rest after."""
    ledger = Ledger(path)
    try:
        ledger.remember("account", {"account_id": 7, "deposit_currency": "USD"})
        for intent in told.intents:
            ledger.record_intent(replace(intent, state="planned", updated_ns=None, error_code=None))
        for intent in told.intents:
            assert intent.updated_ns is not None
            change = StateChange(intent.client_order_id, intent.state, intent.updated_ns, intent.error_code)
            ledger.record(Aftermath(0, states=(change,)))
        for deal in told.deals:
            ledger.record(Aftermath(0, deals=(deal,)))
        ledger.record(Aftermath(0, marks=tuple(told.marks), notices=tuple(told.notices)))
        for ns, symbol, check, reason in told.refusals:
            row = KeptRefusals(ns - ns % HOUR, symbol, check, 1, ns, None, 0.5, reason)
            ledger.record(Aftermath(0, refusals=(row,)))
        for sample in told.samples:
            ledger.record(Aftermath(0, sample=sample))
    finally:
        ledger.close()


def in_day(ns: int) -> bool:
    """Tell it by the trading day's own number, which the loss limits use."""
    return trading_day(ns // SECOND * SECOND) == DAY.toordinal()


def minor(money: Decimal | None) -> int:
    return 0 if money is None else int(money * 100)


def bps(deal: KeptDeal) -> float:
    assert deal.decision_mid is not None
    move = deal.price - deal.decision_mid
    return (move if deal.volume_cents > 0 else -move) / deal.decision_mid * 10_000


def close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def weighted(pairs: list[tuple[float, float | None]]) -> float | None:
    top = bottom = 0.0
    for cost, weight in pairs:
        if weight is not None:
            top += cost * weight
            bottom += weight
    return top / bottom if bottom else None


@settings(max_examples=30)
@given(histories())
def test_every_figure_is_that_of_a_plain_recount(told: Told) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        written(told, path)
        found = day_report(read_span(path, START, END), DAY, DAY, END + HOUR)
    json.dumps(found, allow_nan=False, default=float)
    deals = [deal for deal in told.deals if in_day(deal.executed_ns)]
    own = [deal for deal in deals if deal.is_own]
    _check_money(found["deals"], own)
    _check_money(found["foreign"], [deal for deal in deals if not deal.is_own])
    for row in found["symbols"]:
        _check_money(row, [deal for deal in own if deal.symbol == row["symbol"]])
    assert {row["symbol"] for row in found["symbols"]} == {deal.symbol for deal in own}
    others = [d.deal_id for d in deals if not d.is_own or d.cause not in ("ours", "protection")]
    assert sorted(row["deal_id"] for row in found["by_others"]) == sorted(others)
    _check_orders(found, told)
    _check_costs(found, told, deals, own)
    _check_account(found, told)


def _check_money(found: dict[str, Any], deals: list[KeptDeal]) -> None:
    assert found["count"] == len(deals)
    assert minor(found["commission"]) == sum(minor(d.commission) for d in deals)
    assert minor(found["gross_profit"]) == sum(minor(d.gross_profit) for d in deals)
    assert minor(found["swap"]) == sum(minor(d.swap) for d in deals)
    realised = sum(minor(d.gross_profit) + minor(d.swap) + minor(d.close_commission) for d in deals)
    assert minor(found["realised_profit"]) == realised
    assert close(found["lots"], sum(abs(d.volume_cents) for d in deals) / 10_000_000)
    known = [d.notional for d in deals if d.notional is not None]
    assert close(found["volume"], sum(known) if len(known) == len(deals) else None)


def _check_orders(found: dict[str, Any], told: Told) -> None:
    made = [intent for intent in told.intents if in_day(intent.created_ns)]
    rows = [(row["action"], row["outcome"]) for row in found["orders"] for _ in range(row["count"])]
    assert sorted(rows) == sorted((intent.action, intent.state) for intent in made)
    ratios = []
    for intent in made:
        if intent.action in ("amend", "cancel") or intent.state in ("resolved", "unknown", "accepted"):
            continue
        if intent.error_code == "NOT_SENT":
            continue
        executed = sum(abs(d.volume_cents) for d in told.deals if d.client_order_id == intent.client_order_id)
        ratios.append(1.0 if intent.state == "filled" else min(1.0, executed / abs(intent.volume_cents)))
    assert found["fill_ratio"]["count"] == len(ratios)
    assert close(found["fill_ratio"]["mean_frac"], sum(ratios) / len(ratios) if ratios else None)
    took = [i.updated_ns - i.created_ns for i in made if i.state == "filled" and i.order_type != "limit"]  # type: ignore[operator]
    assert close(found["latency_s"]["worst"], max(took) / 1e9 if took else None)
    assert close(found["latency_s"]["mean"], sum(took) / len(took) / 1e9 if took else None)


def _check_costs(found: dict[str, Any], told: Told, deals: list[KeptDeal], own: list[KeptDeal]) -> None:
    pairs = [(bps(deal), deal.notional) for deal in own if deal.decision_mid is not None]
    _check_cost(found["slippage"]["against_mid"], pairs)
    pairs = []
    for intent in told.intents:
        its_deals = [d for d in deals if d.client_order_id == intent.client_order_id]
        done = sum(abs(d.volume_cents) for d in its_deals)
        if done != abs(intent.volume_cents) or its_deals[0].decision_mid is None or its_deals[0].predicted_bps is None:
            continue
        paid = sum(bps(d) * abs(d.volume_cents) for d in its_deals) / done
        weights = [d.notional for d in its_deals]
        weight = None if None in weights else sum(w for w in weights if w is not None)
        pairs.append((paid - its_deals[0].predicted_bps, weight))
    _check_cost(found["slippage"]["against_prediction"], pairs)
    ids = {deal.deal_id: deal for deal in deals}
    marketable = {i.client_order_id for i in told.intents if i.order_type != "limit"}
    for row in found["mark_outs"]:
        marks = [m for m in told.marks if m.delay_s == row["delay_s"] and m.deal_id in ids]
        awaited = {d.deal_id for d in deals if d.client_order_id in marketable}
        assert row["count"] == len(marks)
        assert row["missing"] == len(awaited - {m.deal_id for m in marks})
        assert close(row["realised_mean_bps"], sum(m.realised_bps for m in marks) / len(marks) if marks else None)
        assert close(row["impact_weighted_bps"], weighted([(m.impact_bps, ids[m.deal_id].notional) for m in marks]))


def _check_cost(found: dict[str, Any], pairs: list[tuple[float, float | None]]) -> None:
    assert found["count"] == len(pairs)
    assert close(found["mean_bps"], sum(cost for cost, _ in pairs) / len(pairs) if pairs else None)
    assert close(found["weighted_bps"], weighted(pairs))
    assert close(found["worst_bps"], max(cost for cost, _ in pairs) if pairs else None)


def _check_account(found: dict[str, Any], told: Told) -> None:
    samples = sorted((s for s in told.samples if in_day(s.ns)), key=lambda s: s.ns)
    equities = [s.equity for s in samples if s.equity is not None]
    assert found["equity"]["open"] == (equities[0] if equities else None)
    assert found["equity"]["close"] == (equities[-1] if equities else None)
    assert found["equity"]["low"] == (min(equities) if equities else None)
    uses = [s.used_margin / s.equity for s in samples if s.used_margin is not None and s.equity and s.equity > 0]
    uses = [use for use in uses if use < math.inf]
    assert close(found["margin"]["mean_use_frac"], sum(uses) / len(uses) if uses else None)
    assert close(found["margin"]["highest_use_frac"], max(uses) if uses else None)
    levels = [s.margin_level for s in samples if s.margin_level is not None]
    assert close(found["margin"]["lowest_level"], min(levels) if levels else None)
    for row in found["refusals"]:
        said = [each for each in told.refusals if each[2] == row["check"] and in_day(each[0])]
        assert row["count"] == len(said)
        assert row["last_reason"] in [each[3] for each in said if each[0] == said[-1][0]]
    assert sum(row["count"] for row in found["refusals"]) == sum(in_day(each[0]) for each in told.refusals)
    for row in found["notices"]:
        texts = [n.text for n in told.notices if n.code == row["code"] and in_day(n.ns)]
        assert (row["count"], row["last_text"]) == (len(texts), texts[-1])


# -- cases that a recount would not think of


def test_an_empty_ledger_has_every_key_and_knows_nothing() -> None:
    empty, full = day_report(LedgerSpan(), None, None, END), day_report(LedgerSpan(deals=(a_deal(),)), DAY, DAY, END)
    assert empty.keys() == full.keys()
    assert empty["equity"] == dict.fromkeys(["open", "low", "high", "close", "balance_open", "balance_close"])
    assert empty["deals"]["realised_profit"] == 0
    assert empty["account_id"] is None


def test_a_mark_that_may_still_come_is_not_missing() -> None:
    intent = Intent("r-1", "r", 1, "open", 1_000_000, "market", START)
    span = LedgerSpan(intents=(intent,), deals=(a_deal(recorded_ns=START),))
    missing = [row["missing"] for row in day_report(span, DAY, DAY, START + 11 * SECOND)["mark_outs"]]
    assert missing == [1, 1, 0, 0], "1 s and 5 s have had twice their time, 30 s and 60 s have not"


def test_the_delays_are_those_at_which_marks_are_taken() -> None:
    assert DELAYS_S == TAKEN_AFTER_S


@given(st.integers(0, 2**62 // 10))
def test_a_day_holds_exactly_the_moments_of_its_trading_day(ns: int) -> None:
    day = broker_day.day_of(ns)
    assert broker_day.start_ns(day) <= ns < broker_day.start_ns(day + timedelta(days=1))
    assert broker_day.start_ns(day) % HOUR == 0


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (DAY, 24)])
def test_days_on_which_new_york_changes_its_clocks_are_an_hour_shorter_or_longer(day: date, hours: int) -> None:
    assert broker_day.start_ns(day + timedelta(days=1)) - broker_day.start_ns(day) == hours * HOUR


def test_a_day_begins_at_five_in_the_afternoon_in_new_york() -> None:
    assert datetime.fromtimestamp(START / 1e9, UTC).isoformat() == "2026-11-26T22:00:00+00:00"


# -- the table of deals


@pytest.fixture
def span(tmp_path: Path) -> LedgerSpan:
    """A day with an order of two deals, one of them with a mark, and a close by hand."""
    intent = Intent(
        "r-1", "r", 1, "open", 2_000_000, "market", START - 1, detail={"reason": "a, b", "leverage_now": 0.5}
    )
    told = Told([replace(intent, state="filled", updated_ns=START + 5)], marks=[KeptMark(1, 5, 1.2, 0.25, -0.5)])
    by_hand = {"client_order_id": None, "cause": "manual", "decision_mid": None, "predicted_bps": None}
    money = {"gross_profit": Decimal("1.10"), "swap": Decimal("-0.20"), "close_commission": Decimal("-0.66")}
    told.deals = [a_deal(1), a_deal(2), a_deal(3, volume_cents=-2_000_000, executed_ns=START + 9, **by_hand, **money)]
    written(told, tmp_path / "l")
    return read_everything(tmp_path / "l")


def test_a_row_of_the_table_has_everything_about_its_deal(span: LedgerSpan) -> None:
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()
    table.writerows(deal_rows(span))
    first, second, third = csv.DictReader(io.StringIO(out.getvalue()))
    assert (first["deal_id"], first["commission"], first["order_reason"]) == ("1", "-0.33", "a, b")
    assert (first["mark_5s_realised_bps"], first["mark_1s_mid"], second["mark_5s_mid"]) == ("0.25", "", "")
    assert (third["realised_profit"], third["order_reason"], third["cause"]) == ("0.24", "", "manual")
    assert first["executed_time"] == "2026-11-26T22:00:00.000Z"


def test_an_order_made_the_day_before_is_found_for_its_deals(tmp_path: Path, span: LedgerSpan) -> None:
    today = read_span(tmp_path / "l", START, END)
    assert [intent.client_order_id for intent in today.outside] == ["r-1"]
    assert today.intents == ()
    assert next(deal_rows(today))["order_leverage_now"] == 0.5
    assert day_report(today, DAY, DAY, END)["slippage"]["against_prediction"]["count"] == 1
