"""The picture of a run in a terminal: what must be seen is there in any size, nothing is wider, words say it all."""

import io
from typing import Any

import pytest
from rich.console import Console, Group
from snapshot_scene import CAUSE, EVENT, FILLED, ORDER, POSITION, lines, snapshot, styled, symbol

from bot.cli.picture import picture

SIZES = [(100, 29), (80, 23), (120, 49), (100, 20), (60, 20), (40, 12), (200, 60), (30, 8), (20, 5), (10, 2)]
LINK = "http://127.0.0.1:40233/?token=UR5rVqEQMCLjs_Ru6gemYyjqJ3FTY2nJDP0W8daWCGU"
MANY = [symbol(f"SYM{n:03d}") for n in range(30)]


def bad_night() -> dict[str, Any]:
    """A run with real money in which much goes wrong at once."""
    return snapshot(
        environment="live", mode="trade", trading="halted", causes=[CAUSE], ready=False, connected=False,
        connections=3, last_error={"time": EVENT["time"], "text": "connection lost: cut"},
        texts=["the connection is lost; reconnecting"], reasons=["disconnected"],
        orders=[ORDER, ORDER | {"state": "unknown", "resting": False}], hands_off=["USDJPY"],
        limits={"daily_loss_frac": 0.021, "drawdown_frac": 0.085, "stop_out_loss": 400.0, "stop_out_move_frac": 0.03},
        margin_level=3.2, used_margin=3000.0,
    )  # fmt: skip


@pytest.mark.parametrize("state", [snapshot(), bad_night(), snapshot(symbols=MANY)], ids=["calm", "bad", "many"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_wider_or_higher_than_the_terminal(width: int, height: int, state: dict[str, Any]) -> None:
    for colours in (None, "truecolor"):
        out = io.StringIO()
        console = Console(file=out, width=width, height=height, color_system=colours, force_terminal=True)  # type: ignore[arg-type]
        known = {"steer_by": "/tmp/a-long-name/that/nobody/types/demo.yaml", "page": LINK}
        console.print(Group(*picture(state, width, height, **known)))
        shown = lines(state, width, height, page=LINK)
        assert len(shown) <= height and max(map(len, shown)) <= width
        assert out.getvalue().count("\n") <= height, "rich has not broken a line"


@pytest.mark.parametrize(("width", "height"), [(100, 29), (80, 23), (120, 49)])
def test_three_symbols_with_all_that_matters_fit(width: int, height: int) -> None:
    shown = "\n".join(lines(snapshot(orders=[ORDER]), width, height))
    for words in (
        "demo account,  dry run: no order is sent", "composite", "account 1000001", "05:34:28 UTC",
        "READY", "trading active", "connected for 20 s", "5 of 30 orders a minute",
        "9,999.95 USD", "balance 10,000.00", "used margin 10.60", "margin level 94,340%, least 300%",
        "leverage 0.53x of 10x", "margin 0.10% of 50%", "daily loss 0.00% of 2%", "drawdown 0.00% of 10%",
        "9,994.65 USD away", "a move of over 100%", "at margin level 50%",
        "spread", "OBI", "imp.", "liqu-", "cri-", "wanted", "allowed", "held", "bound by",
        "EURUSD buy 0.03 lots at 1.09997 (+0.08)", "EURUSD place buy 1000 units at 1.10000, resting 12 s",
        "9 fills: predicted 0.15 bps, paid 0.25", "microlev halt config/demo.yaml", "(or resume, flatten, status)",
        "Ctrl-C ends the run", "(resting orders are cancelled, positions stay)",
    ):  # fmt: skip
        assert words in shown, words
    for name in ("EURUSD", "USDJPY", "XAUUSD"):
        (row,) = [line for line in shown.splitlines() if line.startswith(f" {name}")]
        target = ["+0.37x"] if width == 120 else []
        assert row.split()[-4 - len(target) :] == ["+2.19x", "+1.87x", *target, "+0.33x", "rate"]
        assert f"{name} holds 0.33x of 3x, wants 2.2x: depth covers 133 lots" in shown


def test_a_hundred_columns_show_the_book_too_and_thirty_rows_why_in_full_and_events() -> None:
    shown = "\n".join(lines(snapshot(), 100, 29))
    for words in ("8.35M 15.4M -0.34  +1.1 0.18  1.11", "(max_symbol_leverage); rate of increase", "order filled"):
        assert words in shown, words
    assert "(max_symbol_leverage)" not in "\n".join(lines(snapshot(), 80, 18))


def test_fewer_rows_cost_events_first_and_symbols_last() -> None:
    heights = {height: "\n".join(lines(snapshot(), 100, height)) for height in range(10, 40)}

    def least(words: str) -> int:
        return min(height for height, shown in heights.items() if words in shown)

    order = [" EURUSD 1", "positions", "slippage", "\nUSDJPY holds", "order filled"]
    assert sorted(order, key=least) == order
    assert least("XAUUSD ") < least("slippage") and least("order filled") < least("rate of increase") < 30
    assert all("READY" in shown and "daily loss" in shown and "microlev halt" in shown for shown in heights.values())


def test_narrower_terminals_lose_columns_and_the_last_to_go_are_leverage_and_what_binds() -> None:
    headings = {width: next(line for line in lines(snapshot(), width) if " symbol" in line) for width in (100, 80, 55)}
    assert "OFI" in headings[100] and "OFI" not in headings[80] and "OBI" in headings[80]
    assert headings[55].split() == ["symbol", "bps", "sis", "wanted", "allowed", "held", "bound", "by"]
    assert "ask" in next(line for line in lines(snapshot(), 120) if " symbol" in line)


def test_symbols_that_do_not_fit_are_counted_and_those_in_trouble_come_first() -> None:
    symbols = [*MANY[:28], symbol("BADUSD", crisis_level=3), symbol("OFFUSD"), symbol("BIGUSD", leverage_now=-4.0)]
    state = snapshot(symbols=symbols, hands_off=["OFFUSD"], reasons=["closed_by_hand:OFFUSD"])
    shown = lines(state, 100, 24)
    first = next(i for i, line in enumerate(shown) if " symbol" in line) + 1
    assert [line.split()[0] for line in shown[first : first + 3]] == ["!BADUSD", "!OFFUSD", "BIGUSD"]
    (more,) = [line for line in shown if "more symbols" in line]
    rows = [line for line in shown if line[1:7] in {each["symbol"] for each in symbols}]
    assert more == f" +{31 - len(rows)} more symbols" and len(rows) > 5
    troubled = [symbol(f"BAD{n:02d}", crisis_level=1) for n in range(30)]
    assert any("in trouble" in line for line in lines(snapshot(symbols=troubled), 100, 24))


def test_symbols_that_fit_stay_in_the_order_of_the_config() -> None:
    state = snapshot(symbols=[symbol("EURUSD"), symbol("USDJPY", crisis_level=3), symbol("EURJPY", traded=False)])
    rows = [line.split()[0] for line in lines(state) if line[1:7] in ("EURUSD", "USDJPY", "EURJPY") and line[0] in " !"]
    assert rows == ["EURUSD", "!USDJPY"], "what is not traded only converts money"


@pytest.mark.parametrize(
    ("environment", "mode", "words"),
    [
        ("live", "trade", "LIVE: REAL MONEY"),
        ("live", "dry-run", "LIVE prices, dry run: no order is sent"),
        ("demo", "trade", "demo account, trading: no real money"),
        ("simulator", "dry-run", "simulator, dry run: no order is sent"),
    ],
)
def test_what_is_at_stake_stands_first(environment: str, mode: str, words: str) -> None:
    state = snapshot(environment=environment, mode=mode)
    for width in (100, 80, 40):
        assert " ".join(" ".join(lines(state, width)).split()).startswith(f"microlev {words} composite")
    is_real = (environment, mode) == ("live", "trade")
    assert ("white on red" in styled(state, words.partition(",")[0])) == is_real


def test_a_bad_night_is_told_in_words_and_signs_without_any_colour() -> None:
    shown = "\n".join(lines(bad_night(), 100, 29))
    for words in (
        "NOT READY", "trading HALTED", "NOT CONNECTED", "! daily_loss is 2.10% of equity (halted since 05:34:20, until",
        "closes what is ours", "! the connection is lost; reconnecting", "! 05:34:20 connection lost: cut",
        "! hands off USDJPY until `microlev resume`", "daily loss 2.10% of 2% !!", "drawdown 8.50% of 10% !",
        "margin level 320%, least 300% !", "400.00 USD away", "3.0% of all that is held against us !",
        "outcome UNKNOWN",
    ):  # fmt: skip
        assert words in shown, words
    assert shown.index("outcome UNKNOWN") < shown.index("resting 12 s")
    assert styled(bad_night(), "trading HALTED") == styled(bad_night(), "NOT READY")


def test_every_colour_of_trouble_stands_on_words_that_say_it() -> None:
    for state in (snapshot(), bad_night(), snapshot(symbols=[symbol(crisis_level=2)])):
        for line in picture(state, 100, 29):
            spans = [(str(span.style), line.plain[span.start : span.end]) for span in line.spans]
            for style, words in [*spans, (str(line.style), line.plain)]:
                if "red" in style or "yellow" in style:
                    assert "!" in words or "unknown" in words.lower() or words.upper() == words or "HALTED" in words, (
                        words
                    )


def test_reasons_beyond_the_fourth_are_counted() -> None:
    texts = [f"no fresh quote for SYM{n:02d}; it may only be reduced" for n in range(9)]
    shown = lines(snapshot(texts=texts))
    assert [line for line in shown if line.startswith("! ")][3:] == [f"! {texts[3]}", "! +5 more reasons"]


def test_a_cause_that_is_a_reason_as_well_is_told_once() -> None:
    state = snapshot(trading="halted", causes=[CAUSE], texts=[CAUSE["text"]])
    assert "\n".join(lines(state)).count(CAUSE["text"]) == 1


def test_what_is_not_known_is_a_dash_or_called_so() -> None:
    nothing = dict.fromkeys(
        ("bid", "ask", "spread_bps", "bid_depth_units", "ask_depth_units", "obi", "ofi", "liquidity_ratio", "text",
         "buy_impact_bps", "sell_impact_bps", "leverage_now", "leverage_wanted", "leverage_goal",
         "leverage_target", "bound")
    )  # fmt: skip
    unknown = dict.fromkeys(("stop_out_loss", "stop_out_move_frac", "daily_loss_frac", "margin_use_frac", "leverage"))
    state = snapshot(
        symbols=[symbol(**nothing)], limits=unknown, margin_level=None, used_margin=None, equity=None, account_id=None,
        positions=[POSITION | {"symbol": None, "lots": None, "unrealised": None, "ours": False}], connections=0,
        connected=False, deposit_currency=None, balance=None,
    )  # fmt: skip
    shown = "\n".join(lines(state))
    assert "None" not in shown and "nan" not in shown
    for words in (
        "not connected yet", "daily loss unknown of 2%", "margin level unknown", "unknown how far", "not known yet",
        "unlisted symbol buy 3000 units at 1.099973333 (profit unknown, not ours)", "EURUSD nothing is decided yet",
    ):  # fmt: skip
        assert words in shown, words
    (row,) = [line for line in shown.splitlines() if line.startswith(" EURUSD")]
    assert set(row.split()) == {"EURUSD", "-", "0"}


def test_nothing_held_is_no_stop_out_and_no_margin_level() -> None:
    limits = {"leverage": 0.0, "stop_out_loss": None, "stop_out_move_frac": None}
    shown = "\n".join(lines(snapshot(limits=limits, margin_level=None, used_margin=0.0, positions=[])))
    for words in ("stop-out  nothing is held", "margin level none: no margin is used", "positions none"):
        assert words in shown, words
    gone = snapshot(limits={"stop_out_loss": -1.0, "stop_out_move_frac": None})
    assert "-1.00 USD away !!" in "\n".join(lines(gone))


def test_the_impact_shown_is_that_of_getting_out() -> None:
    (short,) = [row for row in lines(snapshot(symbols=[symbol(leverage_now=-1.0)])) if row.startswith(" EURUSD")]
    (long,) = [row for row in lines(snapshot(symbols=[symbol()])) if row.startswith(" EURUSD")]
    assert " 0.25 " in short and " 0.18 " in long


def test_more_positions_than_fit_are_counted() -> None:
    positions = [POSITION | {"position_id": n} for n in range(20)]
    shown = lines(snapshot(positions=positions), 100, 29)
    start = next(i for i, line in enumerate(shown) if line.startswith("positions"))
    assert "".join(shown[start : start + 3]).count("EURUSD buy") + int(shown[start + 2].split("+")[-1].split()[0]) == 20
    assert shown[start + 2].endswith(" more") and "EURUSD buy" not in shown[start + 3]


def test_an_order_is_told_once_by_what_became_of_it_and_the_newest_comes_first() -> None:
    sent = [FILLED | {"code": code, "price": None} for code in ("intended", "sent", "accepted")]
    refused = EVENT | {"kind": "refused", "symbol": "USDJPY", "code": "order_rate", "text": "31 orders a minute"}
    rest = FILLED | {"client_order_id": "run1-9", "code": "accepted"}
    paper = FILLED | {"code": "rejected", "client_order_id": "run1-6", "paper": True}
    state = snapshot(events=[*sent, FILLED, refused, rest, paper, EVENT], orders=[ORDER])
    shown = [line for line in lines(state, 120, 49) if line.startswith("05:34:20")]
    assert [" ".join(line.split()[1:4]) for line in shown] == [
        "10.00 USD came", "EURUSD paper order", "USDJPY refused by", "EURUSD order filled:",
    ]  # fmt: skip
    assert shown[3] == "05:34:20 EURUSD order filled: increase, buy 0.01 lots at 1.09997; composite: +0.22x -> +0.37x"


def test_a_recorded_run_is_neither_connected_nor_steered() -> None:
    shown = "\n".join(lines(snapshot(source="journal", connected=False)))
    assert "a recorded run: nothing is connected" in shown
    assert "NOT CONNECTED" not in shown and "Ctrl-C" not in shown


@pytest.mark.parametrize(
    ("on_stop", "words"),
    [("cancel", "are cancelled, positions stay"), ("keep", "orders and positions stay"), ("flatten", "closes our")],
)
def test_what_ctrl_c_does_is_what_the_config_says(on_stop: str, words: str) -> None:
    shown = "\n".join(lines(snapshot(), on_stop=on_stop, steer_by=None))
    assert words in shown and "microlev halt" not in shown


def test_drops_are_counted_and_the_end_is_told() -> None:
    shown = "\n".join(lines(snapshot(connections=3, connected_s=3725.0, stopping=True)))
    assert "connected for 1 h 2 min, 2 drops before" in shown and "ENDING" in shown
    assert "1 drop before" in "\n".join(lines(snapshot(connections=2, connected_s=65.0)))


def test_the_number_of_lines_does_not_follow_the_length_of_a_text() -> None:
    texts = [symbol()["text"], symbol()["text"].replace("133 lots", "99 lots").replace("1.11", "1.1")]
    counts = {len(lines(snapshot(symbols=[symbol(text=text), symbol("USDJPY")]), 100, 29)) for text in texts}
    short = snapshot(symbols=[symbol(text="0x of 3x: depth covers 2 lots"), symbol("USDJPY")])
    assert counts == {29} and len(lines(short, 100, 29)) == 29


@pytest.mark.parametrize(
    ("width", "line"), [(100, f"page      {LINK}"), (83, f"page      {LINK}"), (82, LINK), (73, LINK)]
)
def test_the_link_of_the_page_is_whole_where_it_fits_and_on_a_line_of_its_own(width: int, line: str) -> None:
    assert line in lines(snapshot(), width, 23, page=LINK)
    assert not any("token" in each for each in lines(snapshot(), width, 23))


def test_a_link_that_does_not_fit_leads_to_the_whole_of_it_all_the_same() -> None:
    out = io.StringIO()
    console = Console(file=out, width=60, height=20, color_system="truecolor", force_terminal=True)
    console.print(Group(*picture(snapshot(), 60, 20, page=LINK)))
    (line,) = [line for line in out.getvalue().splitlines() if "token" in line]
    assert f";{LINK}\x1b\\" in line and f"{LINK[:59]}…" in line
