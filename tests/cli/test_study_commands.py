"""The commands of docs/study.md on the recordings that they name: whole where those are short, else a part of them."""

import re
import shlex
from pathlib import Path

import pytest
from recordings import recording

from bot.cli.main import main

ROOT = Path(__file__).parents[2]
# An hour teaches and half an hour tests: trend has no direction by then, and a coin needs no past.
PART = ["--from", "2014-05-01T23:00", "--to", "2014-05-02T00:30", "--jobs", "1"]
SHOCKS = """shocks:
  - {kind: spread, symbol: EURUSD, at: 2014-05-02T00:10, move: {bps: 20, side: against}}
  - {kind: gap, symbol: XAUUSD, at: 2014-05-02T00:20, move: {bps: 100, side: against}}
"""  # the standard script needs seven hours


def commands() -> list[list[str]]:
    """The arguments of each command of the document, with its lines joined."""
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(found)[1:] for found in re.findall(r"^\$ (microlev .+)$", text, flags=re.M)]


def with_recordings(arguments: list[str]) -> list[str]:
    return [
        str(recording(word.removeprefix("$MICROLEV_DATA/"))) if word.startswith("$MICROLEV_DATA/") else word
        for word in arguments
    ]


@pytest.mark.slow
@pytest.mark.parametrize("place", range(4))
def test_the_commands_of_the_study_run_and_end_with_a_verdict(
    place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = commands()
    assert len(found) == 4
    arguments = with_recordings(found[place])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    is_part = "fx_2014_05" in " ".join(arguments)
    has_shocks = "--shocks" in arguments
    if has_shocks:
        (tmp_path / "shocks.yaml").write_text(SHOCKS)
        arguments += ["--shocks", "shocks.yaml"]
    elif is_part:
        arguments += ["--signals", "random"]
    assert main([*arguments, *(PART if is_part else [])]) == 0
    told = capsys.readouterr().out
    assert "verdict: composite is undecided" in told, "minutes settle nothing, and say so"
    if not is_part:
        assert "recorded depth" in told
        return
    assert "semi-synthetic" in told
    name = "shocks" if has_shocks else "fx"
    assert ("1 shock spread with a move, 1 shock gap" in told) == has_shocks
    assert (tmp_path / "study" / f"{name}.html").is_file()
    assert min(each.name for each in (tmp_path / "study" / f"{name}_files").iterdir()).startswith("01-")
