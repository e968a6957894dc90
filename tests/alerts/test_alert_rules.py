"""What of a run is told: each event with its beginning and its end, in words with figures."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from alert_desk import DAY, EVERY_EVENT, SECOND, SETTINGS, AlertDesk, composer
from engine_desk import LIMITS, START

from bot.account.account import AccountState
from bot.alerts.alert import Alert
from bot.alerts.composer import LONGEST_TEXT
from bot.alerts.day_rule import DealSums
from bot.alerts.rules import AlertRules
from bot.ctrader.token import TokenPair
from bot.engine import events as ev
from bot.engine.limit_watch import WatchLimits


def begun(**changes: object) -> AlertDesk:
    """A desk that is READY."""
    desk = AlertDesk(**changes)
    desk.fill(desk.begin())
    assert desk.alerts == []
    return desk


def only(desk: AlertDesk) -> Alert:
    (alert,) = desk.alerts
    desk.alerts.clear()
    return alert


# -- halted and limited ----------------------------------------------------------------------------------------------


def test_a_halt_by_hand_and_its_end_are_told_with_the_reason() -> None:
    desk = begun()
    desk.hear(ev.CommandGiven(desk.now_ns, "halt", "by_hand", "lunch"))
    halt = only(desk)
    assert (halt.event, halt.key, halt.severity, halt.lasts) == ("halted", "halted:by_hand", "failure", True)
    assert halt.title == "microlev 7 (demo, trade): trading is halted"
    assert halt.text == "Halted by hand (lunch): `microlev resume` goes on\n22:13:20 UTC"
    desk.wait(5)
    assert desk.alerts == []
    desk.hear(ev.CommandGiven(desk.now_ns, "resume"))
    over = only(desk)
    assert (over.event, over.severity, over.lasts) == ("halted", "success", False) and halt.key in over.ends
    assert over.title.endswith(": trading is free again") and over.text.startswith("Over: halt by hand.")


def test_a_halt_that_begins_to_close_is_told_again() -> None:
    desk = begun()
    desk.hear(ev.CommandGiven(desk.now_ns, "halt"))
    desk.hear(ev.CommandGiven(desk.now_ns, "flatten"))
    assert [alert.key for alert in desk.alerts] == ["halted:by_hand", "halted:by_hand:flattens"]
    assert "everything of ours is being closed" in desk.alerts[1].text
    desk.hear(ev.CommandGiven(desk.now_ns, "resume"))
    assert {"halted:by_hand", "halted:by_hand:flattens"} <= set(desk.alerts[2].ends)


def test_a_loss_limit_halts_with_its_figures_and_says_that_positions_are_closed() -> None:
    desk = begun()
    desk.now_ns += SECOND
    desk.quote(mid_e5=108_000)
    loss = desk.alerts[0]
    assert loss.key == "halted:daily_loss:flattens"
    assert loss.text.startswith("Daily_loss is 3.6") and "the limit is 2.00% (risk.max_daily_loss_frac)" in loss.text
    assert "Our positions are being closed." in loss.text


def test_a_second_cause_is_told_and_the_end_of_one_says_what_still_stands() -> None:
    desk = begun()
    desk.hear(ev.CommandGiven(desk.now_ns, "halt"))
    desk.hear(ev.CommandGiven(desk.now_ns, "halt", "stop_file"))
    assert [alert.key for alert in desk.alerts] == ["halted:by_hand", "halted:stop_file"]
    desk.alerts.clear()
    desk.hear(ev.CommandGiven(desk.now_ns, "resume", "stop_file"))
    over = only(desk)
    assert over.title.endswith(": trading is still halted") and over.text.startswith("Over: the stop file.")


def test_a_limit_that_allows_reductions_only_is_told_and_its_end_too() -> None:
    desk = begun(watch_limits=WatchLimits(0.5, 5.0, 5.0, 50.0, LIMITS.min_margin_level_frac))
    desk.hear(ev.HostChecked(desk.now_ns, 10_000_000, 0.0))
    desk.wait(1)  # that trading is limited makes no loud decision of its own
    full = only(desk)
    assert (full.event, full.key, full.severity) == ("limit_tightened", "limit_tightened:disk_full", "warning")
    assert full.title.endswith(": only reductions") and "10 MB are free" in full.text
    desk.hear(ev.HostChecked(desk.now_ns, 10_000_000_000, 0.0))
    desk.wait(1)
    assert full.key in only(desk).ends


def test_a_leverage_that_the_broker_lowers_is_told_until_it_is_back() -> None:
    desk = begun()

    def hears_of(ratio: float | None) -> None:
        account = desk.account if ratio is None else replace(desk.account, leverage=ratio)
        desk.hear(ev.AccountLoaded(desk.now_ns, account))
        desk.wait(1)

    hears_of(100)
    lowered = only(desk)
    assert (lowered.event, lowered.severity) == ("limit_tightened", "warning")
    assert "from 1:500 to 1:100" in lowered.text
    hears_of(200)
    assert desk.alerts == []
    hears_of(500)
    assert only(desk).ends == (lowered.key,)
    hears_of(1000)
    assert desk.alerts == []


# -- crisis ----------------------------------------------------------------------------------------------------------


def crisis(desk: AlertDesk, level: int) -> None:
    """Let the guard see a level, as the market of `tests/engine/test_crisis_guard.py` makes it see one."""
    table = desk.engine.table
    assert table is not None and desk.engine._evaluator is not None
    desk.engine._evaluator._table["crisis_level"][0] = level
    desk.alerts += desk.rules.look(replace(desk.decisions[-1], now_ns=desk.now_ns))
    desk.now_ns += 2 * SECOND


def test_a_crisis_is_told_at_each_level_from_the_chosen_one_on_and_when_it_is_over() -> None:
    desk = begun()
    desk.now_ns += 2 * SECOND
    crisis(desk, 1)
    assert desk.alerts == []
    crisis(desk, 2)
    reached = only(desk)
    assert (reached.key, reached.symbol, reached.severity) == ("crisis:EURUSD:2", "EURUSD", "warning")
    assert reached.title.endswith(": EURUSD: liquidity crisis, level 2 of 3")
    assert "Spread 0.18 bps" in reached.text and "a quarter of what is wanted is kept" in reached.text
    crisis(desk, 2)
    assert desk.alerts == []
    crisis(desk, 3)
    assert "everything is reduced" in only(desk).text
    crisis(desk, 2)
    assert desk.alerts == [], "it has told of worse"
    crisis(desk, 1)
    over = only(desk)
    assert over.ends == ("crisis:EURUSD:1", "crisis:EURUSD:2", "crisis:EURUSD:3")
    assert over.text.startswith("Level 1 now, after 8 s.")
    crisis(desk, 2)
    assert only(desk).key == "crisis:EURUSD:2"


def test_figures_that_are_not_known_are_called_unknown_and_a_guard_that_is_off_is_named() -> None:
    desk = begun(rules={"heeds_crisis": False, "crisis_level": 1})
    evaluator = desk.engine._evaluator
    assert evaluator is not None
    evaluator._table["liquidity_ratio"][0] = np.nan
    desk.now_ns += 2 * SECOND
    crisis(desk, 1)
    text = only(desk).text
    assert "liquidity unknown of usual; the bot does not heed it (sizing.crisis)" in text and "nan" not in text


def test_a_crisis_is_not_over_because_the_connection_is_gone() -> None:
    desk = begun()
    desk.now_ns += 2 * SECOND
    crisis(desk, 3)
    desk.alerts.clear()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.wait(2)
    assert desk.alerts == []


def test_a_symbol_that_is_not_traded_here_is_not_told_of() -> None:
    desk = begun(rules={"symbols": ()})
    desk.now_ns += 2 * SECOND
    crisis(desk, 3)
    assert desk.alerts == []


# -- unknown orders --------------------------------------------------------------------------------------------------


def test_an_order_without_an_answer_is_told_with_what_it_was_and_what_became_of_it() -> None:
    desk = AlertDesk()
    desk.begin()
    desk.alerts.clear()
    desk.wait(11)
    told = only(desk)
    assert (told.key, told.severity, told.symbol) == ("unknown_order:EURUSD", "failure", "EURUSD")
    assert told.text.startswith("open, buy 0.18 lots: it may have been executed or not.")
    desk.hear(*desk.answers(desk.lines("requests")[0]))
    over = only(desk)
    assert over.ends == (told.key,) and over.text.startswith("It was filled at 1.1.")


def test_an_order_that_an_earlier_run_has_left_is_told_until_the_venue_has_told() -> None:
    desk = AlertDesk()
    left = ev.OpenIntent("earlier-1", 1, "open", 5_000_000, "market", START - SECOND, None)
    desk.hear(ev.IntentsRestored(desk.now_ns, (left,), None, (), ()))
    desk.begin()
    told = [alert for alert in desk.alerts if alert.event == "unknown_order"]
    assert [alert.text.split(":")[0] for alert in told] == ["open, buy 0.5 lots"]
    desk.alerts.clear()
    desk.answer_history()
    desk.wait(5)
    desk.answer_history()
    assert [alert.key for alert in desk.alerts] == ["unknown_order:EURUSD:over"]


def test_an_order_whose_becoming_unknown_was_not_seen_is_told_by_its_volume() -> None:
    desk = AlertDesk(rules={"events": ()})
    desk.begin()
    desk.wait(11)
    late = AlertRules(SETTINGS, desk.session, desk.engine, composer())
    told = late.look(desk.hear())
    assert told[0].text.startswith("An order of 0.18 lots: it may have been executed or not.")
    change = replace(desk.lines("order_changes")[-1], state="resolved", execution_price=None)
    desk.hear(*desk.answers(desk.lines("requests")[0]))
    assert late.look(replace(desk.decisions[-1], order_changes=(change,)))[-1].text.startswith("It was resolved.")


def test_the_end_of_an_order_that_was_not_seen_says_no_more_than_that() -> None:
    desk = AlertDesk()
    desk.begin()
    desk.wait(11)
    desk.engine.receive(desk.answers(desk.lines("requests")[0])[1])
    desk.alerts.clear()
    desk.alerts += desk.rules.look(replace(desk.engine.decide(desk.now_ns), order_changes=()))
    assert only(desk).text.startswith("The venue has told what became of it.")


# -- connection ------------------------------------------------------------------------------------------------------


def test_a_connection_that_stays_away_is_told_once_and_its_return_too() -> None:
    desk = begun()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.wait(59)
    assert desk.alerts == []
    desk.wait(300)
    gone = only(desk)
    assert (gone.key, gone.severity, gone.lasts) == ("disconnected", "failure", True)
    assert gone.text.startswith("For 60 s: the connection is lost; reconnecting.")
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    back = only(desk)
    assert back.ends == ("disconnected",) and back.text.startswith("After 5 min.")


def test_a_connection_that_is_back_in_time_is_not_told() -> None:
    desk = begun()
    for _ in range(3):
        desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
        desk.wait(50)
        desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
        desk.wait(5)
    assert desk.alerts == []


def test_before_the_first_connection_nothing_is_told_and_the_first_ends_what_an_earlier_run_has_told() -> None:
    desk = AlertDesk()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("connecting",)))
    desk.wait(200)
    assert desk.alerts == []
    desk.begin()
    desk.wait(59)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.wait(1)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    desk.wait(59)
    assert [alert for alert in desk.alerts if alert.event == "halted"] == [], "not before it has lasted"
    desk.wait(1)
    ready = desk.alerts[-1]
    assert ready.ends == ("halted:stopped", "disconnected") and ready.severity == "success"


# -- token -----------------------------------------------------------------------------------------------------------


def test_a_token_that_a_person_has_to_renew_is_told_days_before_and_again() -> None:
    desk = AlertDesk(token={"token_expires_ns": START + 4 * DAY})
    desk.hear()
    assert desk.alerts == []
    for days, left in ((1.1, "2 days"), (2.0, "21 h"), (0.75, "3 h")):
        desk.now_ns += round(days * DAY)
        desk.hear()
        if left != "3 h":
            told = only(desk)
            assert told.text.startswith(f"It ends in {left}, at 2023-11-18 22:13 UTC. Log in again")
    assert desk.alerts == []
    desk.now_ns = START + 4 * DAY
    desk.hear()
    assert only(desk).text.startswith("It has ended.")
    desk.session.token.take(TokenPair("new", "r", desk.now_ns + 30 * DAY), renewed=False)
    desk.hear()
    desk.wait(1)
    over = only(desk)
    assert over.severity == "success" and "token_expiry:0" in over.ends and "2023-12-18" in over.text


def test_a_token_that_the_bot_renews_is_told_only_when_that_fails() -> None:
    desk = AlertDesk(token={"token_expires_ns": START + 30 * DAY, "renewable": True})
    desk.hear()
    desk.now_ns += 29 * DAY + 11 * 3600 * SECOND
    desk.hear()
    assert desk.alerts == []
    desk.now_ns += 2 * 3600 * SECOND
    desk.hear()
    assert "could not be renewed yet" in only(desk).text


def test_a_token_whose_end_nobody_knows_is_not_told_of() -> None:
    desk = AlertDesk()
    desk.hear()
    desk.now_ns += 400 * DAY
    desk.hear()
    assert [alert.event for alert in desk.alerts] == []


# -- the day ---------------------------------------------------------------------------------------------------------


def day_of(desk: AlertDesk) -> Alert:
    """Let the trading day turn, at 22:00 UTC in winter, and return what is told of it."""
    turn = START + DAY - 800 * SECOND  # START is 22:13:20
    desk.wait((turn - desk.now_ns) // SECOND - 3) if desk.now_ns < turn - 3 * SECOND else None
    desk.wait(5)
    (figures,) = desk.days
    report = desk.rules.report(figures, figures.deals, is_whole=False)
    assert report is not None
    return report


@pytest.fixture
def ended_day() -> AlertDesk:
    desk = begun()
    desk.now_ns = START + DAY - 2000 * SECOND
    desk.quote(mid_e5=110_050)
    return desk


def test_the_day_is_reported_when_it_has_turned(ended_day: AlertDesk) -> None:
    report = day_of(ended_day)
    assert (report.event, report.key, report.severity) == ("daily_report", "daily_report:2023-11-15", "info")
    assert report.title == "microlev 7 (demo, trade): 2023-11-15: +8.82 USD"
    assert report.text.startswith("Equity 10,008.82 USD, the day +8.82 USD (+0.09%). Deals: 1, realised +0.00, ")
    assert "Worst fall from the highest equity 0.00% (limit 10.00%)." in report.text
    assert "Watched since 22:13:20 UTC." in report.text


def test_a_day_whose_end_was_not_seen_says_of_when_its_figures_are(ended_day: AlertDesk) -> None:
    ended_day.hear(ev.ReadinessChanged(ended_day.now_ns, ("disconnected",)))
    ended_day.wait(1)
    assert "Figures of 21:40:00 UTC, the last that are known." in day_of(ended_day).text


def test_a_ledger_knows_the_whole_day(ended_day: AlertDesk) -> None:
    day_of(ended_day)
    (figures,) = ended_day.days
    whole = DealSums(14, Decimal("10.1"), Decimal("-4.2"), Decimal("0"), 0.123)
    report = ended_day.rules.report(figures, whole, is_whole=True)
    assert report is not None
    assert "Deals: 14, realised +10.10, commission -4.20, swap +0.00, slippage 0.12 bps." in report.text
    assert "Watched since" not in report.text


def test_a_day_without_an_equity_is_unknown_and_not_a_number() -> None:
    desk = AlertDesk()
    desk.hear()
    desk.now_ns += DAY
    desk.hear()
    (figures,) = desk.days
    report = desk.rules.report(figures, figures.deals, is_whole=True)
    assert report is not None and "Equity unknown, the day unknown (unknown). No deals." in report.text
    assert "nan" not in report.title + report.text


def test_a_weekend_on_which_nothing_happened_is_not_reported() -> None:
    desk = AlertDesk()
    desk.now_ns = START + 3 * DAY  # Friday evening in New York: the day of Saturday
    desk.hear()
    desk.now_ns += DAY
    desk.hear()
    (figures,) = desk.days
    assert figures.day.weekday() == 5
    assert desk.rules.report(figures, figures.deals, is_whole=True) is None


# -- all of them -----------------------------------------------------------------------------------------------------


def test_only_the_events_that_are_asked_for_are_told() -> None:
    desk = AlertDesk(rules={"events": ("crisis",)})
    desk.begin()
    desk.hear(ev.CommandGiven(desk.now_ns, "halt"))
    desk.now_ns += 2 * DAY
    desk.hear()
    assert desk.alerts == [] and desk.days == []
    assert desk.rules.stopped("x", 4, desk.now_ns) is None and desk.rules.failed("KeyError", desk.now_ns) is None


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_event_fits_a_phone_in_both_languages(language: str) -> None:
    desk = AlertDesk(language=language, token={"token_expires_ns": START + DAY})
    desk.begin()
    desk.wait(11)
    desk.hear(*desk.answers(desk.lines("requests")[0]))
    crisis(desk, 3)
    crisis(desk, 0)
    desk.hear(ev.CommandGiven(desk.now_ns, "halt"), ev.HostChecked(desk.now_ns, 1, 0.0))
    desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, leverage=1)))
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.wait(62)
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account))
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    desk.session.token.take(TokenPair("new", "r", desk.now_ns + 30 * DAY), renewed=False)
    desk.hear(ev.CommandGiven(desk.now_ns, "resume"), ev.HostChecked(desk.now_ns, 10**10, 0.0))
    desk.now_ns += DAY
    desk.hear()
    for figures in desk.days:
        report = desk.rules.report(figures, figures.deals, is_whole=False)
        desk.alerts += [report] if report else []
    ends = [desk.rules.stopped("not ready within 30 s", 4, 0), desk.rules.failed("KeyError", 0), desk.rules.broken(0)]
    desk.alerts += [alert for alert in ends if alert is not None]
    assert {alert.event for alert in desk.alerts} == {*EVERY_EVENT, "broken"}
    for alert in desk.alerts:
        assert len(alert.text) <= LONGEST_TEXT + 20 and "{" not in alert.title + alert.text, alert
        assert any(ord(c) > 0x3000 for c in alert.title) == (language == "ja"), alert
    assert len([alert for alert in desk.alerts if alert.ends]) >= 6


def test_a_secret_in_a_text_of_others_is_taken_out() -> None:
    secret = 'tok"en/1234567890'
    desk = AlertDesk(secrets=(secret,))
    desk.begin()
    desk.alerts.clear()
    said = f"see {secret} and {json.dumps(secret)} and tok%22en%2F1234567890 {'x' * 330} {secret}"
    desk.hear(ev.CommandGiven(desk.now_ns, "halt", "by_hand", said))
    text = only(desk).text
    assert text.count("***") >= 3 and "1234567890" not in text and "tok" not in text


def test_of_a_secret_at_the_place_where_a_text_is_cut_nothing_is_left() -> None:
    desk = begun(secrets=("a-secret-of-twenty-characters",))
    desk.hear(ev.CommandGiven(desk.now_ns, "halt", "by_hand", "x" * 370 + " a-secret-of-twenty-characters"))
    assert "a-secret" not in only(desk).text


def test_an_account_that_the_config_does_not_name_and_odd_characters_make_no_odd_message() -> None:
    desk = begun()
    desk.hear(ev.CommandGiven(desk.now_ns, "halt", "by_hand", "a\x1b[31m\n\nb\u202e" + "c" * 1000))
    text = only(desk).text
    assert text.isprintable() is False and text.count("\n") == 1 and text.replace("\n", "").isprintable()
    assert len(text.splitlines()[0]) == LONGEST_TEXT
    assert isinstance(desk.account, AccountState)
