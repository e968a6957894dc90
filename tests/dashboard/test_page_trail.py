"""The trail remembers the newest moments, and no more."""

from typing import Any

import pytest

from bot.dashboard.trail import LINES, MALFORMED, MOST_LEVELS, MOST_SYMBOLS, Trail, dearer, time_ms_of
from tests.page_snapshots import paper_run, resting_run


def _filled(taken: list[dict[str, Any]], kept: int = 1200) -> Trail:
    trail = Trail(kept)
    for snapshot in taken:
        trail.add(snapshot)
    return trail


def test_a_moment_has_the_books_the_figures_and_our_resting_orders() -> None:
    taken = resting_run()
    trail, last = _filled(taken), taken[-1]
    moment = trail.moments("EURUSD")[-1]
    each = last["symbols"][0]
    assert moment.time_ms == time_ms_of(last["time"]) and (moment.bid, moment.ask) == (each["bid"], each["ask"])
    assert list(moment.bids[:4]) == [*each["bids"][0], *each["bids"][1]]
    assert len(moment.asks) == 2 * len(each["asks"])
    resting = [
        (1.0 if o["side"] == "buy" else -1.0, o["limit_price"]) for o in last["orders"] if o["symbol"] == "EURUSD"
    ]
    assert resting and list(moment.resting) == [number for order in resting for number in order]
    figures = dict(zip(LINES, moment.figures, strict=True))
    assert figures["spread_bps"] == each["spread_bps"] and figures["leverage_now"] == each["leverage_now"]
    assert figures["impact_bps"] == max(each["buy_impact_bps"], each["sell_impact_bps"])


def test_a_line_has_a_value_a_moment_oldest_first_and_none_where_unknown() -> None:
    taken = paper_run()
    line = _filled(taken).line("EURUSD", "spread_bps")
    shown = [each["spread_bps"] for snapshot in taken for each in snapshot["symbols"] if each["symbol"] == "EURUSD"]
    assert line == shown and len(line) > 20
    assert _filled(taken).line("EURUSD", "obi", most=4) == _filled(taken).line("EURUSD", "obi")[-4:]
    with pytest.raises(ValueError, match="not in tuple"):
        _filled(taken).line("EURUSD", "no such figure")


def test_memory_is_bounded() -> None:
    snapshot = paper_run()[-1]
    trail = Trail(kept=50)
    for i in range(400):
        trail.add(snapshot | {"time": f"2023-11-14T22:{20 + i // 60:02}:{i % 60:02}.000Z"})
    assert len(trail.moments("EURUSD")) == 50
    assert trail.count("EURUSD") == trail.added == 400
    assert trail.moments("EURUSD")[-1].time_ms - trail.moments("EURUSD")[0].time_ms == 49_000


def test_the_same_moment_is_no_news() -> None:
    snapshot = paper_run()[-1]
    trail = _filled([snapshot, snapshot])
    assert trail.added == len(trail.moments("EURUSD")) == 1


def test_an_earlier_time_or_another_run_begins_a_new_trail() -> None:
    taken = paper_run()
    trail = _filled(taken)
    trail.add(taken[10])
    assert (trail.version, trail.added) == (1, 1)
    trail.add(taken[11] | {"run_id": "another"})
    assert (trail.version, len(trail.moments("EURUSD"))) == (2, 1)
    trail.clear()
    assert trail.moments("EURUSD") == [] and trail.version == 3 and trail.count("EURUSD") == 0


def test_a_symbol_that_is_not_there_has_no_moments() -> None:
    trail = _filled(paper_run())
    assert trail.moments("NOSUCH") == [] and trail.line("NOSUCH", "obi") == [] and trail.count("NOSUCH") == 0


def test_the_dearer_side_is_the_larger_of_what_is_known() -> None:
    assert dearer(0.2, 0.3) == 0.3 and dearer(None, 0.3) == 0.3 and dearer(None, None) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"digits": 10**9},
        {"digits": -1},
        {"mid": 1.1, "bid": "1.1"},
        {"obi": []},
        {"leverage_now": True},
        {"buy_impact_bps": "dear"},
        {"bids": [[1.1]]},
        {"bids": [[1.1, 1.0]] * (MOST_LEVELS + 1)},
        {"asks": [["a", "b"]]},
        {"symbol": {}},
    ],
)
def test_a_snapshot_that_cannot_be_drawn_is_refused_and_nothing_of_it_is_kept(wrong: dict[str, Any]) -> None:
    *taken, last = paper_run()
    trail = _filled(taken)
    before = trail.count("EURUSD"), trail.count("USDJPY"), trail.added
    with pytest.raises(MALFORMED):
        trail.add(last | {"symbols": [last["symbols"][1], last["symbols"][0] | wrong]})
    assert (trail.count("EURUSD"), trail.count("USDJPY"), trail.added) == before


def test_symbols_are_remembered_while_they_are_few() -> None:
    *taken, last = paper_run()
    trail, each = _filled(taken), last["symbols"][0]

    def add(second: int, *names: str) -> None:
        symbols = [each | {"symbol": name} for name in names]
        trail.add(last | {"time": f"2099-01-01T00:00:{second:02d}Z", "symbols": symbols})

    many = [f"S{i}" for i in range(MOST_SYMBOLS + 1)]
    add(1, "NEW")
    assert trail.count("EURUSD") > 20 and trail.count("NEW") == 1
    add(2, *many[:-1])
    assert trail.count("EURUSD") == trail.count("NEW") == 0 and trail.moments("EURUSD") == []
    with pytest.raises(ValueError, match=f"{MOST_SYMBOLS + 1} symbols"):
        add(3, *many)
