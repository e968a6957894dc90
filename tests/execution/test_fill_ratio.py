"""The forgotten Beta distribution of fills against a sum over every order there was."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.fill_ratio import FillRatio

fractions = st.lists(st.floats(0.0, 1.0), max_size=80)


def after(*shares: float, prior: tuple[float, float] = (4.0, 1.0), half_life: float = 50.0) -> FillRatio:
    ratio = FillRatio(prior, half_life)
    for share in shares:
        ratio.ended(share)
    return ratio


def test_two_whole_fills_and_a_half_one_without_fading() -> None:
    ratio = after(1.0, 1.0, 0.5, half_life=math.inf)
    assert (ratio.filled, ratio.missed, ratio.order_count) == (6.5, 1.5, 3)
    assert ratio.mean == 0.8125
    assert ratio.q10 == pytest.approx(0.628602, abs=5e-7)


@given(fractions, st.sampled_from([(4.0, 1.0), (8.0, 2.0)]), st.floats(1.0, 200.0))
def test_each_order_weighs_half_as_much_a_half_life_later(
    shares: list[float], prior: tuple[float, float], half_life: float
) -> None:
    ratio = after(*shares, prior=prior, half_life=half_life)
    weights = [0.5 ** ((len(shares) - 1 - i) / half_life) for i in range(len(shares))]
    filled = prior[0] + sum(w * f for w, f in zip(weights, shares, strict=True))
    missed = prior[1] + sum(w * (1 - f) for w, f in zip(weights, shares, strict=True))
    assert (ratio.filled, ratio.missed) == (pytest.approx(filled, rel=1e-12), pytest.approx(missed, rel=1e-12))
    assert ratio.q10 < ratio.mean


@given(fractions, st.floats(0.0, 0.99))
def test_a_better_fill_never_makes_it_worse(shares: list[float], share: float) -> None:
    worse, better = after(*shares, share), after(*shares, 1.0)
    assert worse.mean < better.mean
    assert worse.q10 < better.q10


def test_the_quantile_follows_every_order_after_it_was_asked_for() -> None:
    ratio = after(1.0)
    before = ratio.q10
    ratio.ended(0.0)
    assert ratio.q10 < before


def test_what_is_no_share_is_refused() -> None:
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="the filled share"):
            after(share)
