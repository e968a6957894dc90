"""`scripts/anchors`: the table it prints, the document it writes, and what it says without recordings."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bot.research.anchors import ANCHORS

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "anchors"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("anchors_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("anchors_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_table_has_a_row_an_anchor_and_says_which_are_met(script: ModuleType) -> None:
    figures = {anchor.name: anchor.expected for anchor in ANCHORS}
    figures[ANCHORS[0].name] += 0.5
    rows = script.table(figures)[2:]
    assert len(rows) == len(ANCHORS)
    assert rows[0].endswith("| NO |") and all(row.endswith("| yes |") for row in rows[1:])
    departing = next(anchor for anchor in ANCHORS if anchor.departs)
    assert script.verdict(departing, departing.expected + 0.5) == "no (known)"


def test_a_document_gets_its_table_between_the_markers_and_keeps_the_rest(script: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    script.write(document, ["| new |"])
    assert document.read_text(encoding="utf-8") == f"before\n{script.BEGIN}\n| new |\n{script.END}\nafter\n"


def test_a_document_without_markers_is_left_alone_and_named(script: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("text\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md has no markers"):
        script.write(document, [])
    assert document.read_text(encoding="utf-8") == "text\n"


@pytest.mark.slow
def test_without_recordings_it_names_the_first_one_that_is_missing(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--data", tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "no such recording" in run.stderr and "l1_usequity_BAC" in run.stderr
