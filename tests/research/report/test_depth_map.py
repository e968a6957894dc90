"""The depth of given seconds of a source, on a grid about the mid."""

from collections.abc import Iterator
from dataclasses import replace

import made_up_findings as made_up
import numpy as np
import pytest

from bot.market.delta import DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, delta_rows
from bot.research.backtest.messages import Messages, messages
from bot.research.report.depth_map import depth_map, depth_of_worst_minutes, worst_minutes
from bot.research.shocks.shock import Shock
from bot.research.shocks.shocked_source import shocked_source
from bot.research.sources import Source
from bot.sim.listing import default_symbols

S = 1_000_000_000


def _source(told: list[tuple[float, list[tuple[int, int, int, int]]]], size: int = 2) -> Source:
    """A source that tells (second, rows of kind, id, price, cents), `size` messages a piece."""

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        for first in range(0, len(told), size):
            part = told[first : first + size]
            rows = [[(kind, place, *rest) for kind, *rest in each] + [(END_DEPTH, place, 0, 0, 0)] for _, each in part]
            times = np.array([round(at * S) for at, _ in part], np.int64)
            every = delta_rows([row for each in rows for row in each]).copy()
            yield messages(times, np.array([len(each) for each in rows]), every)

    return Source("made up", default_symbols()[0], "recorded depth", (0, 10 * S), stream)


BOOK = [
    (DEPTH_BID, 1, 99_990, 1000), (DEPTH_BID, 2, 99_900, 5000),
    (DEPTH_ASK, 3, 100_010, 2000), (DEPTH_ASK, 4, 100_100, 7000),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_column_is_the_book_at_the_end_of_its_second(size: int) -> None:
    told = [
        (0.5, BOOK),
        (2.5, [(DEPTH_DELETE, 4, 0, 0)]),
        (3.0, [(DEPTH_BID, 5, 99_990, 400)]),
        (9.0, [(DEPTH_DELETE, 1, 0, 0)]),
    ]
    found = depth_map(_source(told, size), 1 * S, 4 * S, cells=4)
    assert (found.time_ns // S).tolist() == [1, 2, 3]
    assert found.distance_bps == pytest.approx([-7.5, -2.5, 2.5, 7.5], rel=0.05)
    assert found.units.T.tolist() == [[50, 10, 20, 70], [50, 10, 20, 0], [50, 14, 20, 0]]
    assert found.bid_bps == pytest.approx([-1, -1, -1])
    assert found.ask_bps == pytest.approx([1, 1, 1])


def test_a_side_without_a_quote_has_no_column() -> None:
    told = [(0.5, BOOK), (1.5, [(DEPTH_DELETE, 1, 0, 0), (DEPTH_DELETE, 2, 0, 0)]), (5.0, BOOK[:1])]
    found = depth_map(_source(told), 0, 3 * S)
    assert np.isnan(found.units[:, 1:]).all()
    assert np.isnan(found.bid_bps).tolist() == [False, True, True]


@pytest.mark.parametrize(("from_ns", "until_ns"), [(0, 0), (0, 3601 * S)])
def test_too_many_seconds_or_none_are_refused(from_ns: int, until_ns: int) -> None:
    with pytest.raises(ValueError, match="a map has 1 to 3600"):
        depth_map(_source([(0.5, BOOK)]), from_ns, until_ns)


def test_a_stretch_in_which_nothing_is_told_is_refused() -> None:
    with pytest.raises(ValueError, match="made up has none between"):
        depth_map(_source([(50.0, BOOK)]), 0, 3 * S)


def test_the_worst_minutes_are_about_the_widest_spreads_and_apart() -> None:
    run = made_up.result(count=60)
    run.clocks["spread_bps"][[10, 11, 50]] = [[20.0], [19.0], [5.0]]
    minute = 60 * S
    first, second = worst_minutes(run, minutes=4, count=2)
    assert [each // minute - made_up.MONDAY_NS // minute for each in first] == [8, 12]
    assert [each // minute - made_up.MONDAY_NS // minute for each in second] == [28, 32]
    (of_test,) = worst_minutes(run, minutes=4, from_ns=made_up.MONDAY_NS + 40 * minute)
    assert [each // minute - made_up.MONDAY_NS // minute for each in of_test] == [48, 52]


def test_a_symbol_without_depth_has_no_map_in_its_worst_minutes() -> None:
    run = made_up.result(count=60)
    assert depth_of_worst_minutes(run, []) == []
    source = _source([(0.5, BOOK)])
    at_s = made_up.MONDAY_NS / S + 1500
    known = replace(_source([(at_s, BOOK), (at_s + 1e6, BOOK)]), spec=replace(source.spec, name=made_up.SYMBOL))
    bare = replace(_source([(1.0, []), (at_s + 1e6, [])]), spec=known.spec)
    assert depth_of_worst_minutes(run, [bare]) == []
    (found,) = depth_of_worst_minutes(run, [known])
    assert found.symbol == made_up.SYMBOL


def test_the_depth_of_a_source_with_shocks_is_what_was_played() -> None:
    source = _source([(0.5, BOOK), *((float(at), [(DEPTH_BID, 9, 99_980, 100)]) for at in range(1, 400))])
    shocks = [
        Shock("depth", source.spec.name, at * S, 10.0, 0.1) for at in (300, 20)
    ] + [Shock("depth", "another", 310 * S, 5.0, 0.1)]  # fmt: skip
    played, calm = (depth_map(each, 295 * S, 315 * S) for each in (shocked_source(source, shocks), source))
    share = played.units.sum(axis=0) / calm.units.sum(axis=0)
    # A column is the end of its second: that of the 300th begins with the shock.
    assert share == pytest.approx([1.0] * 5 + [0.1] * 10 + [1.0] * 5)
    inside = depth_map(shocked_source(source, shocks), 25 * S, 35 * S)  # it begins within a shock
    assert inside.units.sum(axis=0)[[0, -1]] == pytest.approx(calm.units.sum(axis=0)[0] * np.array([0.1, 1.0]))
    assert shocked_source(source, shocks[2:]) is source
