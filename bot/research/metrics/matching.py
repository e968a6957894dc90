"""How much larger an arm would have to be to carry the risk of another: from the calibration window alone."""

import math
from dataclasses import dataclass

from bot.research.metrics.arm_run import ArmRun, TradingTime
from bot.research.metrics.bar_figures import mean_leverage, realised_volatility_frac
from bot.research.metrics.bars import bars_of


@dataclass(frozen=True, slots=True)
class Match:
    """What an arm's base leverage is multiplied by so that it matches a reference.

    Missing: NaN where either of the two had no volatility, or held nothing.
    """

    arm: str
    reference: str
    until_ns: int
    volatility_factor: float
    leverage_factor: float


def match(arm: ArmRun, reference: ArmRun, until_ns: int, trading_time: TradingTime | None = None) -> Match:
    """Return the factors that match an arm to a reference on realised volatility, and on mean gross leverage.

    Nothing from `until_ns` on is looked at. A factor is exact where what is held grows with the base leverage; caps,
    steps of volume and costs bend that, so match again after a run at the new base where it matters.

    Raises: ValueError when either has no rows before `until_ns`, or when their clocks differ there.
    Source: models 17.1.
    """
    both = []
    for run in (arm, reference):
        if not run.time_ns[0] < until_ns:
            raise ValueError(f"run of arm {run.name}: no rows before {until_ns} to match it by")
        both.append(run.until(until_ns))
    if both[0].time_ns.tobytes() != both[1].time_ns.tobytes():
        raise ValueError(f"runs of arms {arm.name} and {reference.name}: their clocks differ before {until_ns}")
    ours, theirs = (bars_of(run, trading_time) for run in both)
    factors = []
    for figure in (realised_volatility_frac, mean_leverage):
        have, want = figure(ours, ours.everything), figure(theirs, theirs.everything)
        factors.append(want / have if have > 0 and want > 0 else math.nan)
    return Match(arm.name, reference.name, until_ns, *factors)
