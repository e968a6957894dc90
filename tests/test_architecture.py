"""The import rule holds: `docs/architecture.md` says who may import whom, and what sans-IO code may not touch."""

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from import_rule import import_violations, io_violations, read_tables, row_for

ROOT = Path(__file__).resolve().parent.parent
ROWS, EXCEPTIONS = read_tables((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
FORBIDDEN_STEMS = {"utils", "helpers", "common", "base", "misc", "manager"}


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("strategies/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _tree(module: str) -> ast.AST:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _is_sans_io(module: str) -> bool:
    package = row_for(module, ROWS)
    return package is not None and ROWS[package].sans_io


def _wrong(modules: Iterable[str], check: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """Return what is wrong, by module; nothing of those with which all is well."""
    return {module: found for module in modules if (found := check(module))}


# One test a rule, not one a module: two thousand tests of a millisecond would take longer to start than to run.
def test_a_module_imports_only_what_its_row_grants() -> None:
    assert _wrong(MODULES, lambda module: import_violations(module, _tree(module), ROWS, set(MODULES))) == {}


def test_a_sans_io_module_touches_nothing_outside_itself_unless_declared() -> None:
    def undeclared(module: str) -> list[str]:
        allowed = EXCEPTIONS.get(module, set())
        return [text for kind, text in io_violations(module, _tree(module)) if kind not in allowed]

    assert _wrong([module for module in MODULES if _is_sans_io(module)], undeclared) == {}


def test_a_declared_exception_is_still_needed() -> None:
    def useless(module: str) -> list[str]:
        if module not in MODULES:
            return ["the module is gone; take its row out"]
        return sorted(EXCEPTIONS[module] - {kind for kind, _ in io_violations(module, _tree(module))})

    assert _wrong(EXCEPTIONS, useless) == {}


def test_every_module_below_bot_has_a_row() -> None:
    assert [module for module in MODULES if module.count(".") and row_for(module, ROWS) is None] == []


def test_a_file_is_named_after_a_noun_and_stays_small() -> None:
    def at_fault(module: str) -> list[str]:
        path = MODULES[module]
        lines = path.read_text(encoding="utf-8").count("\n")
        faults = [f"{lines} lines are too long: find the second noun hiding in it"] if lines > 400 else []
        return faults + ([f"{path.stem} is no noun of ours"] if path.stem in FORBIDDEN_STEMS else [])

    assert _wrong(MODULES, at_fault) == {}


def test_only_net_and_what_stands_above_it_may_import_twisted() -> None:
    assert {package for package, row in ROWS.items() if "twisted" in row.grants} == {"bot.net", "bot.app", "bot.cli"}


@pytest.mark.parametrize(
    ("module", "source", "named"),
    [
        ("bot.market.book", "import twisted.internet", "twisted.internet"),
        ("bot.market.book", "def f():\n    from bot.sizing import target", "bot.sizing.target"),
        ("bot.market.book", "from bot import sizing", "bot.sizing"),
        ("bot.market.book", "from ..sizing.target import Target", "bot.sizing.target"),
        ("bot.sim.venue", "from bot.account.account import AccountState", "bot.account.account"),
        ("bot.ctrader.session", "import bot.market.book", "bot.market.book"),
        ("bot.ctrader.session", "from bot.engine import engine", "bot.engine.engine"),
        ("strategies.mine", "import bot.net.client", "bot.net.client"),
    ],
)
def test_the_checker_finds_an_import_without_a_grant(module: str, source: str, named: str) -> None:
    known = {*MODULES, "bot.engine.engine", "bot.sizing.target", "bot.net.client", module}
    (found,) = import_violations(module, ast.parse(source), ROWS, known)
    assert f"imports {named};" in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bot.sizing.target", "import math\nfrom bot.market import book\nimport numpy as np\nfrom .leverage import x"),
        ("bot.ctrader.session", "from bot.engine.events import Deal\nfrom google.protobuf import message"),
        ("bot.journal.writer", "from bot import __version__"),
    ],
)
def test_the_checker_accepts_what_is_granted(module: str, source: str) -> None:
    assert import_violations(module, ast.parse(source), ROWS, set(MODULES)) == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import time\nt = time.time()", "clock"),
        ("from time import monotonic as m\nt = m()", "clock"),
        ("from datetime import datetime\ndef f(now=datetime.now): ...", "clock"),
        ("import random\nx = random.random()", "randomness"),
        ("import random\nx = random.Random()", "randomness"),
        ("import numpy as np\nx = np.random.normal()", "randomness"),
        ("import numpy as np\nx = np.random.default_rng()", "randomness"),
        ("f = open('x')", "files"),
        ("from pathlib import Path\nPath('x').read_text()", "files"),
        ("from pathlib import Path\ndef f(path: Path): return path.read_bytes()", "files"),
        ("import os\nx = os.environ['HOME']", "environment"),
        ("print('x')", "printing"),
        ("import threading\nx = threading.Lock()", "network or threads"),
    ],
)
def test_the_checker_finds_io_in_sans_io_code(source: str, kind: str) -> None:
    assert kind in {found for found, _ in io_violations("bot.market.book", ast.parse(source))}


@pytest.mark.parametrize(
    "source",
    [
        "import random\nx = random.Random(7)",
        "import numpy as np\nx = np.random.default_rng(seed=7)",
        "from datetime import datetime, UTC\nx = datetime.fromtimestamp(0, UTC)",
        "import random\ndef f(source: random.Random) -> float: return source.random()",
        "from pathlib import PurePath\nx = PurePath('a') / 'b'",
    ],
)
def test_the_checker_accepts_stated_seeds_times_and_pure_paths(source: str) -> None:
    assert io_violations("bot.market.book", ast.parse(source)) == []
