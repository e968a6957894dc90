"""A user's own strategy: loaded from a file, compiled where that works, and unable to stop the bot."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from known_market import calm_market, pair

import strategies
from bot.market.feature_table import unknown_features
from bot.sizing.strategy import StrategyError
from strategies import loading

NAN, INF = math.nan, math.inf
PLAIN = """
import numpy as np

def leverage(features, base, *, slope=0.5):
    return base * np.minimum(features.liquidity_ratio ** slope, 1.0)
"""
SIGNED = """
import numpy as np
DIRECTION = True

def leverage(features, base, *, least=0.1):
    return np.where(np.abs(features.obi_slow) > least, np.sign(features.obi_slow) * base, 0.0)
"""
CLASS = """
import numpy as np
from dataclasses import dataclass
from typing import ClassVar
from bot.sizing.strategy import Parametrised

@dataclass(frozen=True)
class Strategy(Parametrised):
    "Half of the base."
    share: float = 0.5
    name: ClassVar[str] = "half"
    factor_names: ClassVar[tuple[str, ...]] = ("share",)

    def factors(self, table, side):
        return np.full((1, len(table)), self.share)
"""


@pytest.fixture
def written(tmp_path: Path):
    """Write a strategy file, and return its path as a config would have it."""

    def write(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def bound(path: str, base: list[float], **given: object):
    on_error = given.pop("on_error", "hold")
    specs = [pair(name, i + 1) for i, name in enumerate(["EURUSD", "USDJPY", "GBPUSD"][: len(base)])]
    return strategies.load(path, given, on_error=on_error).bound(specs, np.array(base))


def factor(strategy, table: np.ndarray, side: float = 1.0) -> list[float]:
    return strategy.factors(table, np.full(len(table), side))[0].tolist()


# -- a function ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_function_gives_the_leverage_that_it_returns(written) -> None:
    strategy = bound(written(PLAIN), [5.0, 2.0, 0.0])
    assert (strategy.name, strategy.factor_names, strategy.has_direction) == ("mine", ("leverage",), False)
    assert (strategy.note, strategy.problem, strategy.requires_caps) == (None, None, True)
    table = calm_market(3, liquidity_ratio=[0.25, 4.0, 1.0])
    assert factor(strategy, table) == [0.5, 1.0, 0.0]
    assert factor(bound(written(PLAIN), [5.0, 2.0, 0.0], slope=1), table) == [0.25, 1.0, 0.0]


def test_what_is_unknown_to_a_function_is_unknown(written) -> None:
    strategy = bound(written(PLAIN), [5.0, 5.0])
    found = factor(strategy, calm_market(2, liquidity_ratio=[NAN, 1.0]))
    assert math.isnan(found[0])
    assert found[1] == 1.0
    assert strategy.problem is None
    assert np.isnan(factor(strategy, unknown_features(2))).all()
    assert strategy.problem is None, "at the start nothing is known of anything, and that is no mistake"


@pytest.mark.slow
def test_a_signed_function_decides_the_side_and_its_size(written) -> None:
    strategy = bound(written(SIGNED), [5.0, 2.0, 3.0])
    table = calm_market(3, obi_slow=[0.5, -0.5, 0.05])
    assert strategy.has_direction
    assert strategy.directions(table).tolist() == [1.0, -1.0, 0.0]
    assert strategy.factors(table, strategy.directions(table))[0].tolist() == [1.0, 1.0, 0.0]
    assert factor(strategy, table, side=1.0) == [1.0, 0.0, 0.0], "a long that the file would be short of is not held"


LOOP = """
import numpy as np

def leverage(features, base, *, rounds=3):
    found = np.empty(len(base))
    for s in range(len(base)):
        found[s] = base[s]
        for _ in range(rounds):
            found[s] *= features.liquidity_ratio[s]
    return found
"""


def test_what_numba_can_compile_is_compiled_and_says_the_same(written) -> None:
    strategy = bound(written(LOOP), [5.0, 5.0])
    assert strategy.note is None
    assert strategy._inner._compiled is not None
    assert factor(strategy, calm_market(2, liquidity_ratio=[0.5, 1.0])) == [0.125, 1.0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import re\n    n = len(re.findall('a', 'aa'))\n    return base / n", "numba cannot compile it"),
        ("return base / 2 if hasattr(features, '_fields') else base / 4", "plain numpy"),
    ],
)
def test_what_numba_cannot_compile_runs_as_plain_numpy_and_says_so(written, line: str, said: str) -> None:
    strategy = bound(written(f"def leverage(features, base):\n    {line}\n"), [5.0])
    assert said in str(strategy.note)
    assert factor(strategy, calm_market(1)) == [0.5]
    assert strategy.problem is None


def test_compiled_code_that_says_something_else_is_not_used(written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.sizing.user_function.njit", lambda function: lambda table, base, *rest: base * 1.001)
    strategy = bound(written(PLAIN), [5.0])
    assert strategy.note == "mine: runs as plain numpy; compiled it gives other numbers"
    assert factor(strategy, calm_market(1)) == [1.0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return base * {}['k']", "mine.py:2: KeyError: 'k' (on made-up features; mine may fail in a run too)"),
        ("return base[:1]", "mine.py: returned shape (1,), and one number a symbol is (8,) (on made-up features; "),
        ("return -base", "mine.py: returned -5 for symbol 0; a leverage is not below 0 unless the file says DIRECTION"),
    ],
)
def test_a_function_that_fails_on_made_up_features_is_kept_and_says_so(written, line: str, said: str) -> None:
    strategy = bound(written(f"def leverage(features, base):\n    {line}\n"), [5.0])
    assert said in str(strategy.note)
    assert "\n" not in str(strategy.note)


def test_a_function_that_fails_on_made_up_features_may_work_on_those_of_a_market(written) -> None:
    text = "def leverage(features, base):\n    assert features.mid[-1] > 0\n    return base / 2\n"
    strategy = bound(written(text), [5.0])
    assert "mine.py:2: AssertionError" in str(strategy.note)
    assert (factor(strategy, calm_market(1)), strategy.problem) == ([0.5], None)


# -- a class, and packages -----------------------------------------------------------------------------------------


def test_a_class_is_a_strategy_with_its_own_factors_and_parameters(written) -> None:
    strategy = bound(written(CLASS), [5.0, 5.0], share=0.25)
    assert (strategy.name, strategy.factor_names) == ("half", ("share",))
    assert factor(strategy, calm_market(2)) == [0.25, 0.25]
    assert strategy.expected_returns(calm_market(2)) is None
    with pytest.raises(StrategyError, match=r"no parameter 'shear' \(did you mean share\?\); it has: share"):
        bound(written(CLASS), [5.0], shear=1)


BARE = """
import numpy as np

class Strategy:
    factor_names = ("one", "two")
    has_direction = True
    def __init__(self, share=0.5): self.share = share
    def directions(self, table): return np.sign(table["obi"])
    def factors(self, table, side): return np.full((2, len(table)), self.share)
    def expected_returns(self, table): return np.full(len(table), 0.001), np.zeros(len(table))
"""


def test_a_class_need_not_know_ours(written) -> None:
    strategy = bound(written(BARE), [5.0], share=0.1)
    table = calm_market(1, obi=-0.3)
    assert strategy.directions(table).tolist() == [-1.0]
    assert strategy.factors(table, np.array([-1.0])).tolist() == [[0.1], [0.1]]
    assert [x.tolist() for x in strategy.expected_returns(table)] == [[0.001], [0.0]]
    with pytest.raises(StrategyError, match="no parameter 'size'; it has: share"):
        bound(written(BARE), [5.0], size=1)


@pytest.mark.slow
def test_a_package_offers_a_strategy_by_name(written, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loading._module_of(Path(written(SIGNED)))

    def entry_points(group: str, name: str) -> list:
        assert group == "microlev.strategies"
        return [SimpleNamespace(load=lambda: module.leverage, value="pack:leverage")] if name == "carry" else []

    monkeypatch.setattr(loading, "entry_points", entry_points)
    strategy = bound("carry", [5.0], least=0.3)
    assert (strategy.name, strategy.has_direction) == ("carry", True)
    assert strategy.directions(calm_market(1, obi_slow=0.2)).tolist() == [0.0]
    with pytest.raises(StrategyError, match="'other' is not available"):
        bound("other", [5.0])


def test_a_package_that_does_not_import_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ModuleNotFoundError("No module named 'pack'")

    entry = SimpleNamespace(load=load, value="pack:leverage")
    monkeypatch.setattr(loading, "entry_points", lambda group, name: [entry])
    with pytest.raises(StrategyError, match="'carry' of pack:leverage: ModuleNotFoundError: No module named 'pack'"):
        bound("carry", [5.0])


# -- what cannot be loaded -----------------------------------------------------------------------------------------

GOOD = "def leverage(features, base):\n    return base\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def leverage(features, base:\n    return base\n", r"mine\.py:1: SyntaxError: "),
        ("x = 1\n  y = 2\n", r"mine\.py:2: IndentationError: unexpected indent"),
        ("\nimport nosuchpackage\n", r"mine\.py:2: ModuleNotFoundError: No module named 'nosuchpackage'"),
        ("\n\nraise ValueError('no luck')\n", r"mine\.py:3: ValueError: no luck"),
        ("raise SystemExit(1)\n", r"mine\.py:1: SystemExit: 1"),
        ("x = 1\n", r"mine\.py: has neither a function `leverage\(features, base\)` nor a class `Strategy`"),
        ("leverage = 3\n", r"mine\.py: has neither"),
        ("def leverage(features):\n    return features.mid\n", r"mine\.py: strategy mine needs `def leverage\("),
        ("def leverage(features, base, *more):\n    return base\n", r"mine\.py: strategy mine needs"),
        (
            "def leverage(features, base, *, a):\n    return base\n",
            r"mine\.py: strategy mine: parameter 'a' .* default",
        ),
        (
            "def leverage(features, base):\n    x = 1\n    return features.liquidity\n",
            r"mine\.py:3: there is no feature 'liquidity'; did you mean liquidity_ratio",
        ),
        (
            "def leverage(features, base):\n    return features.zzz\n",
            r"mine\.py:2: there is no feature 'zzz'; docs/strategies\.md lists them",
        ),
        ("class Strategy:\n    pass\n", r"mine\.py: `factor_names` must be a tuple of 1 to 8 names, not None"),
        ("class Strategy:\n    factor_names = ('a',)\n", r"mine\.py: a strategy needs a method `factors`"),
        (
            "class Strategy:\n    factor_names = ('a',)\n    has_direction = True\n    def factors(self, t, s): pass\n",
            r"mine\.py: a strategy needs a method `directions`",
        ),
        ("class Strategy:\n    def __init__(self):\n        1 / 0\n", r"mine\.py:3: ZeroDivisionError: "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_file_and_line_number(written, text: str, said: str) -> None:
    with pytest.raises(StrategyError, match=said) as caught:
        bound(written(text), [5.0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"slop": 1}, r"strategy mine has no parameter 'slop' \(did you mean slope\?\); it has: slope"),
        ({"slope": "steep"}, "parameter 'slope' of strategy mine must be a number, not 'steep'"),
        ({"slope": True}, "must be a number, not True"),
    ],
)
def test_a_parameter_that_a_function_does_not_have_is_named(written, given: dict, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        bound(written(PLAIN), [5.0], **given)


def test_a_file_that_is_not_there_or_no_python_is_said(tmp_path: Path, written) -> None:
    with pytest.raises(StrategyError, match="no strategy file at"):
        bound(str(tmp_path / "none.py"), [5.0])
    with pytest.raises(StrategyError, match=r"a strategy file ends in \.py"):
        bound(written(GOOD, "mine.txt"), [5.0])


@pytest.mark.slow
def test_parameters_may_be_text_or_flags(written) -> None:
    text = "def leverage(features, base, *, how='half', on=True):\n    return base / (2 if how == 'half' else 4)\n"
    assert factor(bound(written(text), [5.0]), calm_market(1)) == [0.5]
    assert factor(bound(written(text), [5.0], how="quarter"), calm_market(1)) == [0.25]
    with pytest.raises(StrategyError, match="parameter 'on' of strategy mine must be true or false, not 1"):
        bound(written(text), [5.0], on=1)


# -- what fails while it runs --------------------------------------------------------------------------------------

RAISES = """
def leverage(features, base):
    if features.mid[0] > 1.2:
        raise ValueError("too dear")
    return base * 0.5
"""


@pytest.mark.parametrize(("on_error", "rest"), [("hold", NAN), ("flatten", 0.0)])
def test_a_strategy_that_raises_holds_or_closes_and_says_why_until_it_works_again(
    written, on_error: str, rest: float
) -> None:
    strategy = bound(written(RAISES), [5.0, 5.0], on_error=on_error)
    assert factor(strategy, calm_market(2)) == [0.5, 0.5]
    assert factor(strategy, calm_market(2, mid=1.3)) == pytest.approx([rest, rest], nan_ok=True)
    assert "mine.py" in strategy.problem
    assert "ValueError: too dear" in strategy.problem
    assert "\n" not in strategy.problem
    assert factor(strategy, calm_market(2)) == [0.5, 0.5]
    assert strategy.problem is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return base[:1]", "returned shape (1,), and one number a symbol is (2,)"),
        ("return 3.0", "returned shape (), and one number a symbol is (2,)"),
        ("return None", "returned shape (), and one number a symbol is (2,)"),
        ("return base * float('nan')", "is unknown (NaN or infinite) for every symbol, though the market is known"),
        ("return base / 0.0", "ZeroDivision"),
        ("return -base", "returned -5 for EURUSD; a leverage is not below 0 unless the file says DIRECTION = True"),
        ("features.mid[0] = 1.0\n    return base", "read-only"),
        ("return [1, 2, 3][5] * base", "IndexError: list index out of range"),
        ("return unheard_of", "NameError: name 'unheard_of' is not defined"),
    ],
)
def test_an_answer_that_is_no_leverage_is_a_problem_and_a_hold(written, line: str, said: str) -> None:
    strategy = bound(written(f"def leverage(features, base):\n    {line}\n"), [5.0, 5.0])
    table = calm_market(2)
    if said == "ZeroDivision":
        said = "is unknown (NaN or infinite)"  # arrays divide by zero without a word
    assert np.isnan(factor(strategy, table)).all()
    assert said in strategy.problem
    assert table["mid"].tolist() == [1.1, 1.1]


def test_a_raise_names_the_line_it_was_on(written) -> None:
    strategy = bound(written("def leverage(features, base):\n    x = {}\n    return base * x['k']\n"), [5.0])
    factor(strategy, calm_market(1))
    assert strategy.problem.endswith("mine.py:3: KeyError: 'k'")


def test_a_raise_names_the_line_of_a_file_given_by_a_relative_path(written, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(written("def leverage(features, base):\n    x = {}\n    return base * x['k']\n"))
    monkeypatch.chdir(path.parent)
    strategy = bound(f"./{path.name}", [5.0])
    factor(strategy, calm_market(1))
    assert strategy.problem == f"{path.name}:3: KeyError: 'k'"


def test_directions_that_are_a_part_of_the_table_become_an_array_of_their_own(written) -> None:
    method = "    def directions(self, table): return table['is_current']\n"
    directions = bound(written(BARE + method), [5.0, 5.0]).directions(calm_market(2))
    assert directions.flags.c_contiguous and directions.flags.writeable


def test_expected_returns_that_fail_are_unknown_and_not_unstated(written) -> None:
    strategy = bound(written(BARE + "    def expected_returns(self, table): return 1 / 0\n"), [5.0])
    stated = strategy.expected_returns(calm_market(1))
    assert stated is not None and np.isnan(stated).all()


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("def factors(self, table, side): return np.ones((1, len(table)))", "factors have shape (1, 2), and (factors"),
        ("def factors(self, table, side): return -np.ones((2, len(table)))", "a factor is below 0"),
        ("def directions(self, table): return np.full(len(table), 0.5)", "directions must be -1, 0 or 1"),
        ("def directions(self, table): return np.ones(1)", "directions have shape (1,), and one a symbol is (2,)"),
        ("def expected_returns(self, table): return 1, 2", "expected returns are a mean and an error"),
        ("def bound(self, specs, base): return specs[9]", "IndexError: "),
    ],
)
def test_a_class_that_answers_nonsense_is_held_too(written, method: str, said: str) -> None:
    strategy = bound(written(BARE + f"    {method}\n"), [5.0, 5.0])
    table, side = calm_market(2), np.ones(2)
    strategy.expected_returns(table)
    directions, factors = strategy.directions(table), strategy.factors(table, side)
    assert said in strategy.problem
    if "def factors" in method:
        assert np.isnan(factors).all()
    if "def directions" in method:
        assert np.isnan(directions).all()


def test_an_infinite_factor_is_an_unknown_one(written) -> None:
    strategy = bound(written("def leverage(features, base):\n    return base / features.obi\n"), [5.0, 5.0])
    found = factor(strategy, calm_market(2, obi=[0.0, 0.5]))
    assert math.isnan(found[0])
    assert found[1] == 2.0


@pytest.mark.slow
def test_the_example_of_the_documents_is_a_strategy(written) -> None:
    documents = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"
    example = documents.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    strategy = bound(written(example), [5.0, 5.0, 5.0], least=0.2)
    assert strategy.note is None
    depth = {"bid_weighted_units": 2e6, "ask_weighted_units": [2e6, 5e5, 2e6], "usual_weighted_units": 2e6}
    table = calm_market(3, volatility_bps=[0.2, 0.2, 0.9], **depth)
    assert factor(strategy, table) == pytest.approx([1.0, 0.5, 0.5])
