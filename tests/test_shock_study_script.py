"""`scripts/shock_study`: the tables it prints."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """\
venue: {environment: simulator}
symbols: {EURUSD: {}}
strategy: {name: composite, base_leverage: 1}
sizing: {warm_up_s: 20, persistence_s: 1}
"""


@pytest.mark.slow
def test_the_script_prints_what_each_arm_made_of_a_shock(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    shock = "{kind: spread, symbol: EURUSD, at: 2026-01-05T00:01, for_s: 20}"
    (tmp_path / "shocks.yaml").write_text(f"shocks: [{shock}]", encoding="utf-8")
    words = [str(ROOT / "scripts" / "shock_study"), "config.yaml", "--data", "synthetic:calm"]
    done = subprocess.run(
        [sys.executable, *words, "--to", "2026-01-05T00:02", "--shocks", "shocks.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("**")] == [
        "**composite**",
        "**constant**",
        "**constant, heeding no crisis**",
    ]
    assert done.stdout.count("| spread | 05 00:01:00 | 0 | 3 |") == 3
