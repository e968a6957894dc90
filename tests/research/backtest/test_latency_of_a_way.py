"""How long a way takes: the words for it, and that the draws have the median and the tail they were named by."""

import numpy as np
import pytest

from bot.research.backtest.latency import Fixed, Lognormal, Measured, latency


def test_a_text_names_a_fixed_or_a_lognormal_latency() -> None:
    assert latency("20ms") == Fixed(20.0)
    assert latency("0") == Fixed(0.0)
    assert latency("50ms:250ms") == Lognormal(50.0, 250.0)
    assert latency("50 : 250") == Lognormal(50.0, 250.0)


@pytest.mark.parametrize("text", ["", "soon", "-1ms", "250ms:50ms", "1:2:3", "0:5", "nan", "inf"])
def test_what_is_no_latency_is_one_line_that_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="latency") as error:
        latency(text)
    assert "\n" not in str(error.value)


def test_lognormal_draws_have_their_median_and_their_95th_percentile() -> None:
    random, model = np.random.default_rng(3), Lognormal(50.0, 250.0)
    drawn = np.array([model.draw_ns(random) for _ in range(20_000)]) / 1e6
    assert np.median(drawn) == pytest.approx(50.0, rel=0.03)
    assert np.quantile(drawn, 0.95) == pytest.approx(250.0, rel=0.05)


def test_a_measured_way_is_half_of_a_round_trip_that_was_measured() -> None:
    random, model = np.random.default_rng(3), Measured([10, 30, 50])
    assert {model.draw_ns(random) for _ in range(100)} == {5, 15, 25}
    with pytest.raises(ValueError, match="at least one"):
        Measured([])
