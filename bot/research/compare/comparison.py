"""What a comparison of arms found: every run, the differences that matter, and the verdict.

Everything here turns into JSON by `bot.research.metrics.plain.plain`; the rows of a run are in its own file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.research.metrics.arm_run import Span
from bot.research.metrics.deflated_sharpe import DeflatedSharpe
from bot.research.metrics.interval import Interval
from bot.research.metrics.summary import RunSummary
from bot.research.metrics.superior_ability import SuperiorAbility
from bot.research.metrics.verdict import Verdict

UNMATCHED, BY_VOLATILITY, BY_MEAN_LEVERAGE = "as configured", "realised volatility", "mean leverage"
"""How the arms of one table were made comparable."""


@dataclass(frozen=True, slots=True)
class ArmFound:
    """One arm, on one signal, in one matching.

    `scale` is what the base leverage was multiplied by to match; `summary` is of the test days only; `intervals` of its
    figures by their names in `bar_figures`; `result` is the file of the run.
    """

    arm: str
    signal: str
    matching: str
    scale: float
    summary: RunSummary
    intervals: dict[str, Interval] = field(default_factory=dict)
    result: Path | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm against another, paired in time: `figure` is that of `bar_figures` or of `windows`, ours less theirs, or
    the share by which ours is lower where `is_reduction`."""

    arm: str
    against: str
    signal: str
    matching: str
    figure: str
    is_reduction: bool
    interval: Interval


@dataclass(frozen=True, slots=True)
class InSpan:
    """An arm against another inside the spans of one kind, paired in time.

    `kind` is theirs, or what several go by together; `spans` how many there were; `figure` that of `bar_figures` or of
    `windows`, `ours` and `theirs` what it was; `interval` of ours less theirs, or of the share by which ours is lower
    where `is_reduction`. Missing: NaN.
    """

    arm: str
    against: str
    signal: str
    matching: str
    kind: str
    spans: int
    figure: str
    is_reduction: bool
    ours: float
    theirs: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Judged:
    """What the arms of one signal and matching together say.

    `superior` is of the arms of all signals and matchings together, and so the same in each.
    """

    signal: str
    matching: str
    verdict: Verdict
    superior: tuple[SuperiorAbility, ...]
    deflated: DeflatedSharpe | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole comparison.

    `primary` is the figure that was named before anything was run; `tries` how many variants were tried for it, all
    told; `calibration_until_ns` ends the days that only taught; `data` says of each symbol where it is from and what
    kind of data it is; `assumptions` are the config's `backtest` section, the seed, what signals and arms are;
    `remarks` what a person should know, such as an arm that could not be matched; `in_spans` what the differences were
    in calm time, at rollover, in each kind of event.
    """

    primary: str
    tries: int
    symbols: tuple[str, ...]
    data: tuple[dict[str, Any], ...]
    assumptions: dict[str, Any]
    from_ns: int
    calibration_until_ns: int
    until_ns: int
    spans: tuple[Span, ...]
    arms: tuple[ArmFound, ...]
    differences: tuple[Difference, ...]
    judged: tuple[Judged, ...]
    remarks: tuple[str, ...] = ()
    in_spans: tuple[InSpan, ...] = ()
