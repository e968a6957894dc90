"""The worst minute is kept over runs with how long it was looked for; what older versions kept still loads."""

import json
import math
from typing import Any

import numpy as np
import pytest

from bot.market.evaluator import Evaluator, EvaluatorSettings


def evaluator() -> Evaluator:
    return Evaluator(np.full(2, 1e-4), EvaluatorSettings())


def known(worst_bps: float = 12.5, watched_s: float = 4000.0) -> dict[str, Any]:
    one = evaluator()
    one.table["worst_minute_bps"][0], one.state["minutes_s"][0] = worst_bps, watched_s
    return json.loads(json.dumps(one.usual_content(0), allow_nan=False))


def told(content: dict[str, Any], at: Evaluator | None = None) -> tuple[float, float]:
    at = at or evaluator()
    at.restore_usual(0, content)
    assert np.isnan(at.table["worst_minute_bps"][1]) and at.state["minutes_s"][1] == 0.0
    return float(at.table["worst_minute_bps"][0]), float(at.state["minutes_s"][0])


def test_what_is_kept_comes_back() -> None:
    assert told(known()) == (12.5, 4000.0)
    assert told(known(math.nan, 0.0)) == (pytest.approx(math.nan, nan_ok=True), 0.0)


def test_what_older_versions_kept_still_loads() -> None:
    content = known()
    del content["worst_minute_bps"], content["worst_minute_watched_s"]
    assert told(content) == (pytest.approx(math.nan, nan_ok=True), 0.0)


def test_the_worse_of_what_is_kept_and_what_is_known_counts() -> None:
    for here_bps, here_s, worst in ((30.0, 60.0, 30.0), (1.0, 60.0, 12.5)):
        at = evaluator()
        at.table["worst_minute_bps"][0], at.state["minutes_s"][0] = here_bps, here_s
        assert told(known(), at) == (worst, 4000.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"worst_minute_bps": -1.0},
        {"worst_minute_bps": "much"},
        {"worst_minute_bps": math.inf},
        {"worst_minute_bps": math.nan},
        {"worst_minute_bps": [12.5]},
        {"worst_minute_watched_s": None},
        {"worst_minute_watched_s": True},
        {"worst_minute_watched_s": -60.0},
    ],
)
def test_another_form_is_refused_and_nothing_is_changed(wrong: dict[str, object]) -> None:
    at, content = evaluator(), known() | {"overall_n": [5.0] * len(known()["overall_n"])}
    before = at.state.tobytes(), at.table.tobytes()
    with pytest.raises(ValueError, match="worst_minute"):
        at.restore_usual(0, content | wrong)
    with pytest.raises(ValueError, match="quantities"):
        at.restore_usual(0, content | {"quantities": []})
    assert (at.state.tobytes(), at.table.tobytes()) == before
