"""Leverage models, one file each. A user's own file works the same way."""

from collections.abc import Mapping
from importlib import import_module

from bot.sizing.strategy import Strategy, StrategyError

BUILT_IN = {
    "constant": ("strategies.constant", "Constant"),
    "liquidity-weighted": ("strategies.liquidity_weighted", "LiquidityWeighted"),
    "market-making": ("strategies.market_making", "MarketMaking"),
}


def load(name: str, parameters: Mapping[str, object]) -> Strategy:
    """Return the built-in strategy of that name with these parameters.

    Raises: StrategyError when there is none, or a parameter does not fit.
    """
    if name not in BUILT_IN:
        raise StrategyError(f"strategy {name!r} is not available; there are: {', '.join(sorted(BUILT_IN))}")
    module, class_name = BUILT_IN[name]
    strategy: Strategy = getattr(import_module(module), class_name).from_parameters(parameters)
    return strategy
