"""Finds a strategy by what a config calls it: a built-in one, a Python file, or one that an installed package offers.

A package offers strategies under the entry points `microlev.strategies`. What is not ours is guarded
(`bot.sizing.guard`): it cannot stop the bot, only be held.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module, util
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bot.sizing.guard import GuardedStrategy, OnError
from bot.sizing.strategy import Strategy, StrategyError, UnknownParameter, check_parameter
from bot.sizing.strategy_fault import place, said
from bot.sizing.user_function import FunctionStrategy

GROUP = "microlev.strategies"
BUILT_IN = {
    "constant": ("strategies.constant", "Constant"),
    "liquidity-weighted": ("strategies.liquidity_weighted", "LiquidityWeighted"),
    "impact-minimizing": ("strategies.impact_minimizing", "ImpactMinimizing"),
    "order-book-imbalance": ("strategies.order_book_imbalance", "OrderBookImbalance"),
    "composite": ("strategies.composite", "Composite"),
    "volatility-adaptive": ("strategies.volatility_adaptive", "VolatilityAdaptive"),
    "market-making": ("strategies.market_making", "MarketMaking"),
    "mispricing": ("strategies.mispricing", "Mispricing"),
}


def load(name: str, parameters: Mapping[str, object], *, on_error: OnError = "hold") -> Strategy:
    """Return the strategy of that name, file or entry point with these parameters.

    Args: `on_error` what a strategy that is not ours wishes for while it fails: to hold, or to be flat.
    Raises: StrategyError when there is none, it cannot be loaded, or a parameter does not fit; one line, with file and
        line number where there is a file.
    """
    if name in BUILT_IN:
        module, class_name = BUILT_IN[name]
        strategy: Strategy = getattr(import_module(module), class_name).from_parameters(parameters)
        return strategy
    if name.endswith(".py") or "/" in name or "\\" in name:
        path = Path(name).expanduser()
        return _made(_module_of(path), path.stem, str(path), parameters, on_error)
    for entry in entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except Exception as error:
            raise StrategyError(f"strategy {name!r} of {entry.value}: {said(error)}") from error
        return _made(found, name, _file_of(found) or entry.value, parameters, on_error)
    raise StrategyError(f"strategy {name!r} is not available; there are: {', '.join(sorted(BUILT_IN))}")


def _module_of(path: Path) -> ModuleType:
    if not path.is_file():
        raise StrategyError(f"no strategy file at '{path}'")
    spec = util.spec_from_file_location(f"microlev_strategy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path}: a strategy file ends in .py")
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise StrategyError(f"{place(error, str(path))}: {said(error)}") from error
    return module


def _made(found: Any, name: str, source: str, parameters: Mapping[str, object], on_error: OnError) -> GuardedStrategy:
    """Return the strategy that a module, a class or a function is."""
    module = found if isinstance(found, ModuleType) else sys.modules.get(getattr(found, "__module__", ""))
    if isinstance(found, ModuleType):
        found = getattr(found, "Strategy", None) or getattr(found, "leverage", None)
    try:
        if inspect.isclass(found):
            return GuardedStrategy(_built(found, name, parameters), source, on_error)
        if inspect.isfunction(found):
            signed = bool(getattr(module, "DIRECTION", False))
            made = FunctionStrategy(name, found, parameters, signed=signed, source=source)
            return GuardedStrategy(made, source, on_error)
    except UnknownParameter as error:
        raise error.of_file(source) from error
    except StrategyError as error:
        where = place(error.__cause__, source) if error.__cause__ else source
        text = str(error)
        raise StrategyError(text if text.startswith(source) else f"{where}: {text}") from error
    except Exception as error:
        raise StrategyError(f"{place(error, source)}: {said(error)}") from error
    raise StrategyError(f"{source}: has neither a function `leverage(features, base)` nor a class `Strategy`")


def _built(user_class: Callable[..., Any], name: str, parameters: Mapping[str, object]) -> Any:
    if hasattr(user_class, "from_parameters"):
        return user_class.from_parameters(parameters)
    own = {
        key: parameter.default
        for key, parameter in inspect.signature(user_class).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    for key, given in parameters.items():
        if key not in own:
            raise UnknownParameter(name, key, own)
        check_parameter(name, key, given, own[key])
    return user_class(**parameters)


def _file_of(found: Any) -> str | None:
    try:
        return inspect.getsourcefile(found)
    except TypeError:
        return None
