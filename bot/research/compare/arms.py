"""The arms of a comparison: which leverage model, which of its factors is left out, which guards go with it.

Everything else is the same for all of them: directions, base leverage (times what matches it), warm-up, persistence,
rate limit, no-trade band, caps, risk limits, execution. Source: models 17.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.engine.settings import EngineSettings
from bot.sizing.strategy import Strategy

COMPOSITE, CONSTANT, ADAPTIVE, SCHEDULE, PLACEBO, OWN = (
    "composite", "constant", "volatility-adaptive", "time-of-day", "placebo", "config",
)  # fmt: skip
_LESS = "composite-less-"


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm.

    `strategy` what the config would call it; `left_out` the factor that is 1 instead; `has_guard` and `has_calendar`
    whether the crisis guard and the windows without growth are its own.
    """

    name: str
    strategy: str
    says: str
    left_out: str = ""
    has_guard: bool = True
    has_calendar: bool = True


def _less(what: str, says: str, **other: bool) -> Arm:
    left_out = "" if other else what
    return Arm(f"{_LESS}{what}", COMPOSITE, f"composite without {says}", left_out, **other)


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(CONSTANT, CONSTANT, "the base leverage, whatever the market does", "", False, False),
        Arm(ADAPTIVE, ADAPTIVE, "constant risk instead of constant size", "", False, False),
        Arm("liquidity-weighted", "liquidity-weighted", "seed 1: the liquidity factor alone"),
        Arm("impact-minimizing", "impact-minimizing", "seed 2: the impact factor alone"),
        Arm("order-book-imbalance", "order-book-imbalance", "seed 3: the imbalance factor alone"),
        Arm(COMPOSITE, COMPOSITE, "all factors"),
        _less("volatility", "the volatility factor"),
        _less("liquidity", "the liquidity factor"),
        _less("impact", "the impact factor"),
        _less("imbalance", "the imbalance factor"),
        _less("fill", "the fill factor"),
        _less("crisis", "the crisis guard", has_guard=False),
        _less("calendar", "the windows without growth", has_calendar=False),
        Arm(SCHEDULE, SCHEDULE, "what is usual at this time of day, and the calendar: no look at now", "", False),
        Arm(PLACEBO, COMPOSITE, "composite with the liquidity of another day at the same time of day", "", False),
    )
}
"""Every arm by its name; `config`, the user's own strategy, comes on top."""

LENDER = ARMS[COMPOSITE]
"""The arm that the placebo borrows from."""


def arms_named(names: Sequence[str], own_strategy: str, own: tuple[bool, bool]) -> list[Arm]:
    """Return arms by their names, in their order, each once; `all` stands for every one of `ARMS`.

    The placebo brings the arm along that it shuffles, and every comparison has the constant arm, which the others are
    matched to.

    Args: `own_strategy` what `config` stands for, `own` whether it has guard and calendar.
    Raises: ValueError for an unknown name.
    """
    wanted: dict[str, Arm] = {CONSTANT: ARMS[CONSTANT]}
    if PLACEBO in names:
        wanted[COMPOSITE] = ARMS[COMPOSITE]
    for name in names:
        if name == "all":
            wanted |= ARMS
        elif name == OWN:
            wanted[OWN] = Arm(OWN, own_strategy, f"the config's own strategy, {own_strategy}", "", *own)
        elif name in ARMS:
            wanted[name] = ARMS[name]
        else:
            raise ValueError(f"unknown arm {name!r}; there are: all, {', '.join(ARMS)}, {OWN}")
    return list(wanted.values())


def arm_settings(arm: Arm, settings: EngineSettings, strategy: Strategy) -> EngineSettings:
    """Return the settings of an arm from those of the user's config with every rule in force.

    Args: `strategy` the arm's, with the directions of the comparison.
    """
    guard = arm.has_guard and settings.pace.heeds_crisis
    return replace(
        settings,
        strategy=strategy,
        symbols=tuple(replace(choice, direction="signal") for choice in settings.symbols),
        pace=replace(settings.pace, heeds_crisis=guard),
        risk_limits=replace(settings.risk_limits, heeds_crisis=guard),
        calendar=arm.has_calendar and settings.calendar,
    )
