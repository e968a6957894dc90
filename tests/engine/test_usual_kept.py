"""What is usual is learnt by one run and known to the next, from its first quote on, and again in its replay."""

import math

import numpy as np
import pytest
from engine_desk import SECOND, Desk

import strategies
from bot.engine import events as ev
from bot.journal.inputs import decode_inputs, encode_inputs
from bot.market.evaluator import EvaluatorSettings

EVALUATOR = EvaluatorSettings(volatility_sample_s=1, liquidity_smoothing_half_life_s=1)


def desk() -> Desk:
    return Desk(strategy=strategies.load("liquidity-weighted", {}), evaluator=EVALUATOR)


def calm(at: Desk, seconds: int, half_e5: int = 1) -> None:
    for _ in range(seconds):
        at.now_ns += SECOND
        at.fill(at.quote(half_e5=half_e5))


def test_a_second_run_compares_with_what_the_first_has_learnt() -> None:
    first = desk()
    first.begin()
    calm(first, 60)
    kept = first.engine.usual()
    assert set(kept) == {"EURUSD"}

    (restored,) = decode_inputs(encode_inputs([ev.UsualRestored(1, kept)]))
    ratios = []
    for told in ((), (restored,)):
        second = desk()
        second.hear(*told)  # type: ignore[arg-type]
        second.begin()
        calm(second, 12, half_e5=3)
        assert second.engine.features is not None
        ratios.append(float(second.engine.features.liquidity_ratio[0]))
    assert ratios[0] == pytest.approx(1.0, abs=0.05), "alone it takes three times the spread for usual"
    assert ratios[1] < 0.5


def test_the_stop_out_cap_goes_by_the_worst_minute_once_an_hour_has_been_seen_over_runs() -> None:
    first = desk()
    first.begin()
    calm(first, 130)
    kept = first.engine.usual()
    assert kept["EURUSD"]["worst_minute_watched_s"] == pytest.approx(120, abs=2)
    hour = {"EURUSD": kept["EURUSD"] | {"worst_minute_watched_s": 3600.0, "worst_minute_bps": 2.0}}
    caps = []
    for content in (kept, hour):
        second = desk()
        (restored,) = decode_inputs(encode_inputs([ev.UsualRestored(1, content)]))
        second.hear(restored)
        second.begin()
        calm(second, 30)
        (found,) = second.engine.explanations()
        caps.append(found.caps["stop_out"])
        assert second.engine.usual()["EURUSD"]["worst_minute_watched_s"] >= content["EURUSD"]["worst_minute_watched_s"]
    assert caps[0] == pytest.approx(1 / (0.05 + 0.5 / 500), rel=1e-3), "two minutes are not trusted"
    assert caps[1] > 100


def test_what_is_known_of_symbols_that_are_not_loaded_is_not_lost() -> None:
    first = desk()
    first.begin()
    calm(first, 10)
    kept = first.engine.usual()
    second = desk()
    second.hear(ev.UsualRestored(1, kept | {"GBPJPY": kept["EURUSD"]}))
    assert set(second.engine.usual()) == {"EURUSD", "GBPJPY"}, "before any symbol is known"
    second.begin()
    assert set(second.engine.usual()) == {"EURUSD", "GBPJPY"}


def test_unknown_values_are_kept_as_unknown() -> None:
    first = desk()
    first.begin()
    content = first.engine.usual()["EURUSD"]
    overall = content["overall"]
    assert isinstance(overall, list)
    assert None in overall
    assert not any(isinstance(x, float) and not math.isfinite(x) for x in overall)
    second = desk()
    second.hear(ev.UsualRestored(1, {"EURUSD": content}))
    second.begin()
    evaluator = second.engine._evaluator
    assert evaluator is not None
    assert np.isnan(evaluator.state["overall"][0]).any()
