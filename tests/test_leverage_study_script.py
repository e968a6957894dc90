"""`scripts/leverage_study`: the tables it prints, the document it writes, and what it says without recordings."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bot.research.fill_costs import FILL, TAGS
from bot.research.leverage_study import DAY_NS, Answer, Crisis, Moment
from bot.research.recordings import Quotes
from bot.research.tick_run import RECORD, TickRun
from bot.research.tick_study import Study

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "leverage_study"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPT.parent))
    loader = importlib.machinery.SourceFileLoader("leverage_study_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("leverage_study_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    return module


def made_up() -> Study:
    """One day with an answer, a crisis that was scheduled, and one that was a false alarm."""
    at_ns = 16_192 * DAY_NS + 45_000 * 10**9
    answer = Answer(Moment("release", at_ns), 5.0, at_ns, at_ns, None, at_ns, 1.0, 0.25, 0.5, 0.5, 0.5, None, 0, 1)
    crises = (
        Crisis(at_ns, at_ns + 90 * 10**9, 1, 5.0, "release", 0.5, 1.25, 2.0, -3.0),
        Crisis(at_ns + 10**12, None, 2, 1.0, "", 0.25, 0.5, 1.0, 1.0),
    )
    quotes = Quotes(*(np.empty(0) for _ in range(5)))
    run = TickRun((), np.empty(0, RECORD), np.empty(0, RECORD), np.empty(0, FILL), 0)
    costs = ((16_192, dict.fromkeys(TAGS, (0.5, 0.25))),)
    return Study(run, quotes, np.empty(0), np.empty(0, RECORD), (answer,), crises, (), costs)


def test_every_row_has_as_many_cells_as_its_heading(script: ModuleType) -> None:
    found = made_up()
    rows = (script.moment_rows("X", found), script.crisis_rows("X", found), script.cost_rows("X", found))
    lines = script.tables(rows, ["X: fast"])
    cells = 0
    for line in lines:
        if line.startswith("|"):
            cells = cells or line.count("|")
            assert line.count("|") == cells, line
        else:
            cells = 0
    at = "12:30:00.000"
    assert f"| X | release | 5.0 | {at} | {at} |  | {at} | 1 | 1.00 → 0.25 | 0.50 | 0.50 → 0.50 |  |" in lines
    assert any("**false alarm**" in line for line in lines)
    assert "| **X** | **all 2** |  |  |  |  | 0.75 | 1.75 | -2.00 | +3.00 |" in lines
    assert lines[-1] == "- X: fast"


def test_a_document_gets_its_tables_between_the_markers_and_keeps_the_rest(script: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    script.write(document, ["| new |"])
    assert document.read_text(encoding="utf-8") == f"before\n{script.BEGIN}\n\n| new |\n\n{script.END}\nafter\n"


def test_a_document_without_markers_is_left_alone_and_named(script: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("text\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md has no markers"):
        script.write(document, [])
    assert document.read_text(encoding="utf-8") == "text\n"


def test_the_pictures_are_small_and_name_no_machine(script: ModuleType) -> None:
    shown = sorted((SCRIPT.parent.parent / "docs" / "pictures").glob("*.svg"))
    assert [picture.stem for picture in shown] == sorted(stretch.name for stretch in script.STRETCHES)
    for picture in shown:
        text = picture.read_text(encoding="utf-8")
        assert len(text) < 150_000
        assert str(SCRIPT.parents[1]) not in text


@pytest.mark.slow
def test_without_recordings_it_names_the_first_one_that_is_missing(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--data", tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "no such recording" in run.stderr and "fx_fxcm_EURUSD" in run.stderr
