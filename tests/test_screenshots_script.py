"""`scripts/screenshots` makes every picture that the documents show of the page and the terminal."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chromium import browser

ROOT = Path(__file__).resolve().parents[1]
SIZES = {
    "dashboard.png": (1400, 980),
    "dashboard_ja.png": (1400, 980),
    "dashboard_crisis.png": (1400, 980),
    "dashboard_phone.png": (390, 844),
}


def test_it_makes_what_the_documents_show() -> None:
    shown = set()
    for document in [ROOT / "README.md", ROOT / "README.ja.md", *ROOT.glob("docs/**/*.md")]:
        found = re.findall(r"pictures/((?:dashboard|terminal)\w*\.\w+)", document.read_text(encoding="utf-8"))
        shown |= set(found)
    assert shown == {*SIZES, "terminal.png"}


@pytest.mark.slow
def test_every_picture_is_made(tmp_path: Path) -> None:
    with browser():
        pass  # skipped without one, and an error in CI
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "screenshots"), "--out", str(tmp_path), "--seconds", "3"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=240,
    )
    sizes = {path.name: _size(path) for path in tmp_path.glob("*.png")}
    width, height = sizes.pop("terminal.png")
    assert width == 1100 and 500 < height < 900
    assert sizes == SIZES


def _size(path: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height
