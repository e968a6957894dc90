"""`scripts/study_tables`: the tables of a comparison in a document, and what it refuses."""

import importlib.machinery
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up_findings as made_up
import pytest

from bot.comparing import as_json
from bot.research.metrics.verdict import no_verdict
from bot.research.report import sections

SCRIPT = Path(__file__).parents[3] / "scripts" / "study_tables"


@pytest.fixture(scope="module")
def script() -> Any:
    loader = importlib.machinery.SourceFileLoader("study_tables", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def folder(script: Any, tmp_path: Path) -> Path:
    """A comparison whose arms have an interval for every column."""
    found = made_up.comparison()
    intervals = {name: made_up.interval(-0.1, 0.25, 0.5) for name in script.ARM_FIGURES}
    told = [*found.differences]
    told += [replace(told[0], figure=name, is_reduction=is_less) for name, is_less in script.DIFFERENCES]
    arms = tuple(replace(arm, intervals=intervals) for arm in found.arms)
    (tmp_path / "comparison.json").write_text(as_json(replace(found, arms=arms, differences=tuple(told))))
    return tmp_path


def run(script: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["study_tables", *map(str, arguments)])
    return int(script.main())


def test_the_tables_go_between_the_marks_and_nothing_else_changes(
    script: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "study.md"
    document.write_text("before\n<!-- fx: begin -->\nold\n<!-- fx: end -->\nafter\n")
    assert run(script, monkeypatch, f"fx={folder}", "--write", document) == 0
    text = document.read_text()
    assert text.startswith("before\n<!-- fx: begin -->") and text.endswith("<!-- fx: end -->\nafter\n")
    assert "old" not in text
    lines = text.splitlines()
    (crisis,) = [line for line in lines if line.startswith("| crisis (12) | constant |")]
    assert "**+50 (+20 to +70)**" in crisis, "an interval without 0 is told from chance"
    (payrolls,) = [line for line in lines if line.startswith("| payrolls (1) | constant |")]
    assert "−0.1000 (?)" in payrolls, "an interval that is unknown is marked"
    assert any(line.startswith("| trend | realised volatility |") for line in lines)
    assert (
        "Superior ability, any of 8 arms of 2 tables together above constant: p 0.31, best composite (trend, realised "
        "volatility)."
    ) in lines
    (arm,) = [line for line in lines if line.startswith("| composite | 1.25 |")]
    assert "25.000 (−10.000 to 50.000)" in arm
    assert run(script, monkeypatch, f"fx={folder}", "--write", document) == 0
    assert document.read_text() == text


def test_a_comparison_without_a_verdict_has_a_row_that_says_so(script: Any) -> None:
    found = made_up.comparison()
    nothing = replace(found, arms=(), judged=(replace(found.judged[0], verdict=no_verdict(), superior=()),))
    (row,) = [line for line in script._verdicts(json.loads(as_json(nothing))) if line.startswith("| trend")]
    assert row == "| trend | realised volatility | none | none | none | none | undecided | unknown |"
    assert "Nothing judged: signal trend" in sections.verdicts(nothing)


def test_a_document_without_marks_and_a_folder_without_a_comparison_are_told_in_one_line(
    script: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "study.md"
    document.write_text("no marks\n")
    assert run(script, monkeypatch, f"fx={folder}", "--write", document) == 2
    assert "has no <!-- fx: begin -->" in capsys.readouterr().err
    assert document.read_text() == "no marks\n"
    assert run(script, monkeypatch, "fx=nowhere") == 2
    assert capsys.readouterr().err == "fx=nowhere: there is no nowhere/comparison.json\n"
