"""The crisis detector: its signs beside their plain form, and when its level rises, stays and falls."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import START_NS, S, end, gone, quotes, spot

from bot.market import crisis as compiled
from bot.market import crisis_formulas as plain
from bot.market.delta import DEPTH_ASK, DEPTH_BID, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.state import U_GAP

PIPS = np.full(4, 1e-4)


class Scene:
    """Four symbols with a calm market of a message a second, until something is done to them."""

    def __init__(self, seconds: int = 120, calm: bool = True) -> None:
        self.evaluator = Evaluator(PIPS, EvaluatorSettings())
        self.evaluator.set_reference_units(np.full(4, 25_000.0), np.full(4, 1e6))
        self.now_ns = START_NS
        self.spread = [2, 2, 2, 2]
        self.mid = [110_000] * 4
        if calm:
            self.calm(seconds)

    def levels(self) -> list[int]:
        return [int(x) for x in self.evaluator.features.crisis_level]

    def quote(self, s: int, units: int = 1_000_000) -> list:
        bid = self.mid[s] - self.spread[s] // 2
        ask = bid + self.spread[s]
        return [*quotes(s, [(bid, units), (bid - 3, units)], [(ask, units), (ask + 3, units)]), *spot(s, bid, ask)]

    def send(self, rows: list, after_s: float = 0.0) -> None:
        self.now_ns += round(after_s * S)
        self.evaluator.receive(delta_rows(rows), self.now_ns)

    def wait(self, seconds: float, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.send([], step_s)

    def calm(self, seconds: int, symbols: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        for k in range(seconds):
            for s in symbols:
                self.mid[s] = 110_000 + (k + s) % 3
            self.send([row for s in symbols for row in self.quote(s, 1_000_000 + 1_000 * (k % 7))], 1.0)

    def usual(self) -> np.ndarray:
        """Return what is usual but the gap between messages: of that a crisis is but one more."""
        names = ("usual", "median", "overall")
        return np.stack([np.delete(self.evaluator.state[name], U_GAP, axis=1) for name in names])


def test_a_calm_market_is_no_crisis() -> None:
    scene = Scene(seconds=300)
    assert scene.levels() == [0, 0, 0, 0]
    assert scene.evaluator.features.crisis_score.tolist() == [0.0] * 4


SIGNS = st.lists(st.floats(0, 1), min_size=9, max_size=9)


@given(SIGNS)
def test_score_and_level_equal_their_plain_form(found: list[float]) -> None:
    score = plain.crisis_score(found)
    assert compiled.score_of(np.array(found)) == pytest.approx(score, rel=1e-12)
    assert compiled.level_for(score) == plain.crisis_level(score)
    others = max(sign for i, sign in enumerate(found) if i != plain.STALE)
    assert min(others, plain.MOST_ALONE) <= score <= 1.0
    assert others > 0 or score == 0, "a stale feed alone is no crisis"


@pytest.mark.parametrize(("score", "level"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.75, 2), (0.95, 3), (1.0, 3)])
def test_a_score_asks_for_its_level(score: float, level: int) -> None:
    assert (compiled.level_for(score), plain.crisis_level(score)) == (level, level)


@pytest.mark.parametrize(("sign", "level"), [(0, 2), (1, 3), (2, 2), (3, 3), (4, 3), (5, 2), (6, 0), (7, 2), (8, 2)])
def test_which_sign_closes_positions_by_itself(sign: int, level: int) -> None:
    found = [1.0 if i == sign else 0.0 for i in range(9)]
    assert plain.crisis_level(plain.crisis_score(found)) == level
    assert compiled.level_for(compiled.score_of(np.array(found))) == level
    further = [1.0 if i in (sign, 1) else 0.0 for i in range(9)]
    assert compiled.level_for(compiled.score_of(np.array(further))) == 3


def test_every_further_sign_above_a_half_adds_to_the_score() -> None:
    found = [0.6, 0.0, 0.55, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert plain.crisis_score(found) == pytest.approx(0.75)
    assert compiled.score_of(np.array(found)) == pytest.approx(0.75)


STRAINED = {"spread_bps": 4.0, "usual_spread_bps": 1.0, "spread_deviation": 1.0}


@pytest.mark.parametrize(
    ("seen", "signs"),
    [
        ({}, {}),
        (
            {"spread_bps": 1.0, "usual_spread_bps": 0.25, "spread_deviation": 0.25},
            {0: (math.log(4) * 4 - 3) / 3, 1: 0.2},
        ),
        ({"spread_bps": -1.0, "usual_spread_bps": 0.25, "spread_deviation": 0.25}, {}),
        (
            {"weighted_units": 35.0, "usual_weighted_units": 100.0, "depth_deviation": 0.25},
            {2: (-math.log(0.35) * 4 - 3) / 3},
        ),
        ({"weighted_units": 35.0, "usual_weighted_units": 100.0, "depth_deviation": 0.5}, {}),
        ({"weighted_units": 0.0, "usual_weighted_units": 100.0, "depth_deviation": 0.25}, {2: 1.0}),
        ({"lopsided_s": 1.125}, {3: 0.5}),
        ({"mid_moves": ((-15.0, 1.0, 2.0),)}, {}),
        ({"mid_moves": ((-15.0, 1.0, 2.0),), **STRAINED}, {1: 0.2, 4: 0.5}),
        ({"mid_moves": ((15.0, 4.0, 1.0),), **STRAINED}, {1: 0.2, 4: 0.5}),
        ({"mid_moves": ((45.0, 1.0, 2.0),)}, {4: 0.5}),
        ({"mid_moves": ((45.0, 1.0, 0.1),), "usual_spread_bps": 4.0, "spread_bps": 4.0}, {4: 0.5}),
        ({"mid_moves": ((2.25, 1.0, 0.1),), "least_spread_bps": 0.2}, {}),
        ({"mid_moves": ((4.5, 1.0, 0.1),), "least_spread_bps": 0.2}, {4: 0.5}),
        (
            {"mid_moves": ((0.75, 1.0, 0.1),), "least_spread_bps": 0.2}
            | {"usual_spread_bps": 0.2, "spread_bps": 0.8, "spread_deviation": 1.0},
            {1: 0.2, 4: 0.5},
        ),
        ({"rate_z": 6.0}, {}),
        ({"rate_z": 6.0, **STRAINED}, {1: 0.2, 5: 0.5}),
        ({"quiet_s": 20.0}, {6: 0.5}),
        ({"quiet_s": 20.0, "long_gap_s": 8.0}, {6: 4 / 32}),
        ({"fill_q10": 0.45}, {7: 0.5}),
        ({"crossed_s": 3.0}, {8: 0.5}),
    ],
)
def test_the_plain_signs_are_those_of_the_paper(seen: dict, signs: dict[int, float]) -> None:
    """The compiled ones equal these on any stream: `test_evaluator.py`."""
    assert plain.crisis_signs(plain.Sight(**seen)) == pytest.approx([signs.get(i, 0.0) for i in range(9)], rel=1e-9)


def widened(scene: Scene, s: int = 0, spread: int = 20) -> None:
    scene.spread[s] = spread
    scene.send(scene.quote(s), 0.0)


def test_a_level_is_taken_within_a_quarter_of_a_second_and_one_call() -> None:
    scene = Scene()
    widened(scene)
    assert scene.levels()[0] == 0, "a flicker is no crisis"
    scene.wait(0.2)
    assert scene.levels()[0] == 0
    scene.wait(0.2)
    assert scene.levels()[0] == 3
    assert scene.levels()[1:] == [0, 0, 0]


def test_a_flicker_of_the_spread_is_forgotten() -> None:
    scene = Scene()
    for _ in range(20):
        widened(scene)
        scene.wait(0.2)
        scene.spread[0] = 2
        scene.send(scene.quote(0), 0.0)
        scene.wait(0.2)
    assert scene.levels() == [0, 0, 0, 0]


def test_a_jump_beyond_all_measure_is_taken_at_once() -> None:
    scene = Scene(seconds=60)
    scene.mid[0] += 500
    scene.send(scene.quote(0), 0.3)
    assert scene.levels() == [3, 0, 0, 0]


@pytest.mark.parametrize("seconds", [60, 61, 62, 63, 64])
def test_a_jump_is_not_measured_by_a_volatility_that_it_is_part_of(seconds: int) -> None:
    scene = Scene(seconds)
    scene.mid[0] += 100
    scene.send(scene.quote(0), 1.0)  # a clock ticks with it, and one in five ticks takes a sample of the price
    assert scene.levels() == [3, 0, 0, 0]


@pytest.mark.parametrize(
    ("silent_s", "points", "level"),
    [(3.5, 500, 3), (8, 500, 3), (25, 500, 3), (25.4, 500, 3), (25, 3, 0), (301, 1000, 0)],
)
def test_a_jump_out_of_silence_is_measured_by_the_root_of_its_length(silent_s: float, points: int, level: int) -> None:
    scene = Scene(seconds=60)
    scene.wait(silent_s)  # clocks are looked at meanwhile, as the engine does four times a second
    scene.mid[0] += points
    scene.send(scene.quote(0), 0.0)
    assert scene.levels() == [level, 0, 0, 0]


def test_after_a_silence_a_second_ago_is_what_it_was() -> None:
    scene = Scene(seconds=60)
    scene.wait(25)
    scene.send(scene.quote(0), 0.0)
    scene.send(scene.quote(0), 1.0)
    scene.send(scene.quote(0), 1.0)
    scene.mid[0] += 500
    scene.send(scene.quote(0), 0.5)
    assert scene.levels() == [3, 0, 0, 0]


def test_a_feed_that_stops_is_no_crisis_by_itself() -> None:
    scene = Scene(seconds=120)  # a hundred gaps have to be known
    others = (1, 2, 3)
    levels = []
    for _ in range(31):
        scene.calm(1, others)
        levels.append(scene.levels())
    assert levels == [[0, 0, 0, 0]] * 31


def test_a_level_falls_one_at_a_time_after_its_hold_down() -> None:
    scene = Scene()
    widened(scene)
    scene.wait(0.5)
    scene.spread[0] = 2
    falls, before = [], 3
    began_ns = scene.now_ns
    for _ in range(900):
        scene.calm(1)
        if scene.levels()[0] != before:
            before = scene.levels()[0]
            falls.append((before, (scene.now_ns - began_ns) / 1e9))
    assert [level for level, _ in falls] == [2, 1, 0]
    times = [0.0, *(seconds for _, seconds in falls)]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([600, 180, 60], abs=2.0)


def test_a_level_does_not_fall_while_the_score_is_above_half_of_its_entry() -> None:
    scene = Scene()
    widened(scene)
    scene.wait(0.5)
    scene.spread[0] = 6  # three times the usual: no crisis by itself, nor calm
    for _ in range(700):
        scene.calm(1)
    assert scene.evaluator.features.crisis_score[0] < 0.5
    assert scene.levels()[0] in (2, 3)


def test_a_crisis_never_becomes_usual() -> None:
    scene = Scene()
    widened(scene)
    scene.wait(0.5)
    before = scene.usual()
    for _ in range(400):
        scene.calm(1, (0,))
        assert scene.levels()[0] >= 1
    assert np.array_equal(scene.usual()[:, 0], before[:, 0], equal_nan=True)


def test_three_symbols_that_fall_ill_take_the_others_with_them() -> None:
    scene = Scene()
    widened(scene, 0)
    widened(scene, 1)
    scene.wait(0.5)
    assert scene.levels() == [3, 3, 0, 0]
    widened(scene, 2)
    scene.wait(0.5)
    assert scene.levels() == [3, 3, 3, 1]


def test_three_that_fall_ill_one_after_another_do_not() -> None:
    scene = Scene()
    for s in (0, 1, 2):
        widened(scene, s)
        scene.calm(4)
        assert scene.levels()[s] >= 1
    assert scene.levels()[3] == 0


def test_a_closed_market_is_no_crisis_and_nothing_is_learnt_there() -> None:
    scene = Scene()
    scene.evaluator.set_closed(np.array([True, False, False, False]))
    before = scene.usual()
    rates = scene.evaluator.state["rate_mean"][0]
    scene.send(gone(0, 1, 2, 3, 4))
    for _ in range(120):
        scene.calm(1, (1, 2, 3))
    widened(scene)
    scene.wait(1.0)
    assert scene.levels() == [0, 0, 0, 0]
    assert np.array_equal(scene.usual()[:, 0], before[:, 0], equal_nan=True)
    assert scene.evaluator.state["rate_mean"][0] == rates


def test_silence_and_an_empty_book_count_from_the_opening_on() -> None:
    scene = Scene()
    scene.send(gone(0, 1, 2, 3, 4))
    scene.evaluator.set_closed(np.array([True, False, False, False]))
    for _ in range(600):
        scene.calm(1, (1, 2, 3))
    scene.evaluator.set_closed(np.zeros(4, bool))
    scene.wait(0.2)
    assert scene.levels()[0] == 0, "it has been open for a fifth of a second"
    scene.send(scene.quote(0))
    scene.wait(3.0)
    assert scene.levels()[0] == 0


def test_what_was_asked_for_before_a_connection_was_lost_has_not_been_asked_for_all_the_while() -> None:
    scene = Scene()
    widened(scene)
    scene.evaluator.clear()
    scene.now_ns += 30 * S
    widened(scene)
    scene.wait(0.1)
    assert scene.levels()[0] == 0
    scene.wait(0.3)
    assert scene.levels()[0] >= 1


def test_one_odd_quote_at_the_start_is_neither_usual_nor_a_trap() -> None:
    for first in (0, 1):
        scene = Scene(calm=False)
        scene.spread[0] = first
        scene.send(scene.quote(0))
        scene.spread[0] = 8
        for _ in range(60):
            scene.calm(1)
            assert scene.levels()[0] == 0, f"the first spread was {first} ticks, all others eight"


def test_a_spread_of_one_tick_that_becomes_two_is_no_crisis() -> None:
    scene = Scene(calm=False)
    scene.spread[0] = 1
    scene.calm(200)
    widened(scene, 0, 2)
    scene.wait(3.0)
    assert scene.levels()[0] == 0
    assert scene.evaluator.features.crisis_score[0] < 0.25


def test_a_side_that_empties_is_a_crisis_in_two_seconds() -> None:
    scene = Scene()
    scene.send(gone(0, 1, 2))
    scene.wait(1.0)
    assert scene.levels()[0] == 0
    scene.wait(1.5)
    assert scene.levels()[0] == 3


def test_a_book_that_always_leans_to_one_side_or_the_other_is_none() -> None:
    scene = Scene(calm=False)
    for k in range(400):
        units = (5_000_000, 50_000) if k // 7 % 2 else (50_000, 5_000_000)
        rows = [(DEPTH_BID, 0, 1, 110_000, 100 * units[0]), (DEPTH_ASK, 0, 2, 110_002, 100 * units[1]), end(0)]
        scene.send([*rows, *spot(0, 110_000, 110_002)], 1.0)
        assert abs(scene.evaluator.features.obi[0]) > 0.9
        assert scene.levels()[0] == 0
    assert scene.evaluator.state["lopsided_ns"][0] == -1


def test_depth_lost_for_good_makes_a_symbol_of_spot_prices_and_no_crisis_for_ever() -> None:
    scene = Scene()
    scene.send(gone(0, 1, 2, 3, 4))
    for k in range(1_200):
        scene.send(spot(0, 109_999 + k % 2, 110_001 + k % 2), 1.0)
        if k == 10:
            assert scene.levels()[0] == 3
        if k == 65:
            assert scene.evaluator.features.is_spot_only[0] == 1.0
    assert scene.levels()[0] == 0
    assert math.isfinite(scene.evaluator.features.round_trip_bps[0])


def test_no_move_and_no_usual_spread_divide_by_nothing() -> None:
    """A crossed spot price never becomes a usual spread, and a price that stands has no volatility."""
    evaluator = Evaluator(np.array([1e-4]), EvaluatorSettings(volatility_sample_s=1.0, least_samples=1.0))
    for k in range(5):
        evaluator.receive(delta_rows(spot(0, 110_002, 110_000)), START_NS + k * S)
    assert evaluator.features.volatility_bps[0] == 0.0
    assert math.isnan(evaluator.features.usual_spread_bps[0])
    assert evaluator.features.crisis_score[0] == 0.0
