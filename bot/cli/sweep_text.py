"""The result of a sweep as lines for people and as JSON; the test score stands beside every train score."""

import math
from datetime import UTC, datetime
from typing import Any

from bot.research.metrics.plain import plain
from bot.research.sweep.found import Scored, Steadiness, SweepFound
from bot.research.sweep.score import Score
from bot.research.sweep.study import Tried

_DAY_S = 86_400


def trial_line(tried: Tried) -> dict[str, Any]:
    """Return the JSON line of a trial."""
    return {
        "type": "trial",
        "number": tried.number,
        "state": tried.score.state,
        "parameters": tried.changes,
        "train": plain(tried.score.figure),
        "test": None,
        "remark": tried.score.reason or "test at the end",
    }


def result(found: SweepFound) -> dict[str, Any]:
    """Return what `sweep.json` holds."""
    content: dict[str, Any] = plain(found)
    return {"type": "sweep", **content, "default_is_better": found.default_is_better}


def text(found: SweepFound) -> str:
    """Return the result as a table and sentences."""
    split, counts = found.split, found.counts
    lines = [
        f"metric     {found.metric}, {found.direction}; settled before the first trial ({found.study})",
        f"data       {', '.join(f'{name} ({label})' for name, label in found.labels.items())}",
        f"train      {_days(split.train)}, after {len(split.calibration)} day(s) of calibration",
        f"test       {_days(split.test)}, {len(split.embargo)} day(s) after the train days",
        f"trials     {counts['complete']} complete, {counts['pruned']} pruned, {counts['failed']} failed",
        "",
        f"{'parameter':<32}{'default':>14}{'chosen':>14}{'importance':>12}  steady",
    ]
    for each in found.steadiness:
        share, given = found.importance.get(each.parameter), found.default_changes.get(each.parameter)
        default = "not given" if given is None else _value(given)
        lines.append(
            f"{each.parameter:<32}{default:>14}{_value(found.chosen.changes[each.parameter]):>14}"
            f"{'unknown' if share is None else f'{share:.0%}':>12}  {_steady(each)}"
        )
    lines += ["", f"{'score':<12}{'train':>34}{'test':>34}"]
    lines += [_scores("chosen", found.chosen), _scores("default", found.default), ""]
    lines.append(f"overfit    the choice is {_number(found.gap)} worse on test than on train days")
    if found.default_is_better:
        lines.append("default    the config as it is does better on the train days already: keep it")
    if found.deflated is not None:
        chance = found.deflated.probability_frac
        said = "unknown" if not math.isfinite(chance) else f"{chance:.0%}"
        lines.append(f"deflated   probability that its train Sharpe ratio is above 0 after {found.tries} tries: {said}")
    else:
        lines.append("deflated   unknown: only of net_sharpe, and of two trials or more")
    if found.test_looks > 1:
        lines.append(f"test days  {found.test_looks} choices have been scored on them by now: less of a test each time")
    return "\n".join(lines)


def _scores(name: str, each: Scored) -> str:
    return f"{name:<12}{_score(each.train):>34}{_score(each.test):>34}"


def _score(score: Score) -> str:
    if score.state == "failed":
        return "unknown"
    if math.isfinite(score.low) and math.isfinite(score.high):
        return f"{_number(score.figure)} [{_number(score.low)}, {_number(score.high)}]"
    return f"{_number(score.figure)} [unknown]"


def reasons(found: SweepFound) -> list[str]:
    """Return why scores or intervals are unknown, a line each."""
    said = []
    for name, each in (("chosen", found.chosen), ("default", found.default)):
        for part, score in (("train", each.train), ("test", each.test)):
            if why := score.reason or score.remark:
                said.append(f"{name}, {part}: {why}")
    return said


def _days(days: tuple[int, ...]) -> str:
    first, last = (f"{datetime.fromtimestamp(day * _DAY_S, UTC):%Y-%m-%d}" for day in (days[0], days[-1]))
    return f"{len(days)} day(s), {first} to {last}" if len(days) > 1 else f"1 day, {first}"


def _steady(each: Steadiness) -> str:
    if each.shape == "unknown":
        return "unknown"
    return f"{each.shape}: beside it {_number(each.train_loss)} worse on train, {_number(each.test_loss)} on test"


def _number(value: float) -> str:
    return "unknown" if not math.isfinite(value) else f"{value:.4g}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
