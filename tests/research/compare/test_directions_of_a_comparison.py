"""The directions of a comparison: known values on a known path, and nothing that looks ahead."""

import numpy as np
import pytest

from bot.research.compare.minutes import MINUTE_NS, Minutes
from bot.research.compare.signals import SIGNALS, directions_of

_FIRST = 23_320_800  # a whole hour


def minutes_of_mids(mids: np.ndarray, first: int = _FIRST) -> Minutes:
    return Minutes(first, mids, np.ones_like(mids))


def path(seed: int, count: int = 1_000, symbols: int = 2) -> np.ndarray:
    return np.exp(np.cumsum(np.random.default_rng(seed).standard_normal((count, symbols)) * 1e-4, axis=0))


def test_trend_follows_the_last_four_hours_and_reversion_goes_against_the_last_one() -> None:
    mids = np.ones((600, 1))
    mids[290:] = 1.01  # seen at the hour of minute 300
    mids[350:] = 1.005  # a fall within the hour, seen at 360; up against four hours before, until 540
    minutes = minutes_of_mids(mids)
    trend = directions_of("trend", minutes, ("A",), 1).sides[:, 0]
    reversion = directions_of("reversion", minutes, ("A",), 1).sides[:, 0]
    assert not trend[:300].any()
    assert (trend[300:540] == 1).all()
    assert (trend[540:] == -1).all()
    assert not reversion[:300].any()
    assert (reversion[300:360] == -1).all()
    assert (reversion[360:] == 1).all()  # a move of nothing keeps the side


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_direction_does_not_change_with_what_comes_after_it(signal: str) -> None:
    mids = path(3)
    whole = directions_of(signal, minutes_of_mids(mids), ("A", "B"), 7).sides
    for count in (1, 61, 300, 777):
        other = np.concatenate([mids[:count], path(4)[: len(mids) - count] * 3])
        cut = directions_of(signal, minutes_of_mids(other), ("A", "B"), 7).sides
        assert np.array_equal(cut[:count], whole[:count])


def test_the_random_direction_is_that_of_its_hour_and_seed_whatever_the_data() -> None:
    whole = directions_of("random", minutes_of_mids(path(1)), ("A", "B"), 7)
    later = directions_of("random", minutes_of_mids(path(2)[:500], _FIRST + 217), ("A", "B"), 7)
    for minute in (217, 300, 700):
        at_ns = (_FIRST + minute) * MINUTE_NS + 5
        assert np.array_equal(whole.at(at_ns), later.at(at_ns))
    other = directions_of("random", minutes_of_mids(path(1)), ("A", "B"), 8)
    assert not np.array_equal(whole.sides, other.sides)
    assert set(np.unique(whole.sides)) == {-1.0, 1.0}


def test_before_the_first_quote_there_is_no_direction() -> None:
    mids = path(1)
    mids[:100, 0] = np.nan
    for signal in SIGNALS:
        sides = directions_of(signal, minutes_of_mids(mids), ("A", "B"), 1)
        assert not sides.sides[:100, 0].any()
        assert not sides.at(0).any()


def test_an_unknown_signal_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="unknown signal 'momentum'; there are: trend, reversion, random, config"):
        directions_of("momentum", minutes_of_mids(path(1)), ("A", "B"), 1)


def test_the_sides_of_the_config_are_held_from_the_first_quote_on_and_one_without_is_refused() -> None:
    mids = path(1)
    mids[:100, 0] = np.nan
    found = directions_of("config", minutes_of_mids(mids), ("A", "B"), 1, {"A": -1, "B": 1})
    assert not found.sides[:100, 0].any()
    assert (found.sides[100:, 0] == -1).all() and (found.sides[:, 1] == 1).all()
    with pytest.raises(ValueError, match=r"signal config: symbols\.B\.direction has to be long or short"):
        directions_of("config", minutes_of_mids(mids), ("A", "B"), 1, {"A": -1, "B": None})
