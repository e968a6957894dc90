"""Figures become pictures, and long series short ones that hide nothing."""

import io
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.research.report.figure import PALETTE, Axis, Bars, Figure, HeatMap, Intervals, Line, Panel, Shade, log_ticks
from bot.research.report.png_drawing import png
from bot.research.report.thinning import kept_rows, thinned_over_time

SECOND_NS = 1_000_000_000
_Y = st.lists(st.one_of(st.floats(-10, 10), st.just(np.nan)), min_size=30, max_size=200)


@settings(max_examples=40, deadline=None)
@given(_Y, st.randoms(use_true_random=False), st.integers(1, 6))
def test_thinning_keeps_the_extremes_of_every_stretch_and_both_ends(ys, source, buckets) -> None:
    y = np.array(ys)
    x = np.cumsum([source.randint(0, 50) for _ in ys])
    rows = kept_rows(x, y, buckets)
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= 4 * buckets or len(y) <= 4 * buckets
    assert rows[0] == 0
    assert rows[-1] == len(y) - 1
    span = max(int(x[-1] - x[0]), 1)
    place = np.minimum((x - x[0]) / span * buckets, buckets - 1).astype(int)
    for bucket in np.unique(place):
        every, kept = y[place == bucket], y[rows][place[rows] == bucket]
        if np.isfinite(every).any():
            assert np.nanmin(kept) == np.nanmin(every)
            assert np.nanmax(kept) == np.nanmax(every)


def test_a_short_series_is_left_whole() -> None:
    assert kept_rows(np.arange(20), np.zeros(20), 5).tolist() == list(range(20))


def test_a_closed_market_is_a_gap_however_much_is_thinned() -> None:
    time_ns = SECOND_NS * np.concatenate([np.arange(500), 10_000 + np.arange(500)])
    kept_ns, kept = thinned_over_time(time_ns, np.ones(1000), 4)
    gap = np.flatnonzero(np.isnan(kept))
    assert len(gap) == 1
    assert time_ns[499] < kept_ns[gap[0]] < time_ns[500]
    assert (np.diff(kept_ns) > 0).all()


def test_marks_of_a_logarithmic_axis_thin_out_over_many_decades() -> None:
    assert log_ticks(0.4, 6) == pytest.approx([0.5, 1, 2, 5])
    assert log_ticks(0.5, 3000) == pytest.approx([1, 10, 100, 1000])
    assert log_ticks(np.nan, np.nan) == []


@pytest.mark.slow  # the library takes its time to come up
def test_every_kind_of_mark_becomes_a_picture_of_its_own_bytes() -> None:
    time_ns = 1_399_248_000 * SECOND_NS + 60 * SECOND_NS * np.arange(4)
    lines = (
        Line("held $x$", time_ns, np.array([1.0, np.nan, 10.0, 2.0]), is_step=True, is_filled=True),
        Line("points", time_ns, np.arange(1.0, 5.0), colour=9, is_points=True),
    )
    cells = HeatMap("volume", "units", time_ns, np.array([-1.0, 1.0]), np.array([[1.0, 2, 3, 4], [np.nan, 2, 3, 4]]))
    panels = (
        Panel(Axis("leverage", is_log=True), lines, 2.0),
        Panel(Axis("far", "bps", low=-2, high=2), (cells,)),
    )
    shade = Shade(int(time_ns[1]), int(time_ns[2]), "crisis")
    over_time = Figure("a", "A $title$", "What to see.", Axis("time", "UTC", is_time=True), panels, (shade,), "A note.")
    some = np.array([0.5, np.nan, -0.5])
    by_arm = (
        Bars("spread", np.array([1.0, -0.5, 0.2])),
        Intervals("leaves out 0", np.array([0.5, 0.1, -0.5]), some - 0.1, some + 0.1, np.array([True, False, False])),
    )
    arms = Figure("b", "B", "What.", Axis("cost", "bps"), (Panel(Axis("", categories=("a\nvs b", "c", "d")), by_arm),))
    sizes = []
    for figure in (over_time, arms):
        picture = png(figure)
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        sizes.append(struct.unpack(">II", picture[16:24]))
    assert [width for width, _ in sizes] == [1080, 1080]
    assert all(300 < height < 900 for _, height in sizes)
    assert png(arms) == picture


def test_a_title_of_any_length_ends_before_the_edge_of_the_picture() -> None:
    from matplotlib.image import imread

    title = "Difference: crisis loss (mean drawdown in crises): reduction (signal trend, matched by mean leverage)"
    bars = Panel(Axis("", categories=("a", "b")), (Bars("spread", np.array([1.0, 2.0])),))
    picture = imread(io.BytesIO(png(Figure("a", title, "What to see.", Axis("cost", "bps"), (bars,)))))
    margin = picture[:70, -8:, :3]
    assert (margin == 1.0).all()


def test_no_arm_has_a_colour_near_another_s() -> None:
    values = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in PALETTE]
    apart = [math.dist(one, other) for k, one in enumerate(values) for other in values[:k]]
    assert min(apart) > 60
