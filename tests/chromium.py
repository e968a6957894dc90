"""A Chromium that is there already, for tests of pages: found, started without a screen, and its pictures kept."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


def executable() -> str | None:
    """Return the browser to drive: what MICROLEV_CHROMIUM names, or the first of `NAMES` on the path."""
    named = os.environ.get("MICROLEV_CHROMIUM")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


@contextmanager
def browser() -> Iterator[Any]:
    """Start it. Without one a test is skipped; in CI that is a failure, so that nobody is told it has passed."""
    path = executable()
    if path is None:
        reason = f"no Chromium: set MICROLEV_CHROMIUM, or put one of {', '.join(NAMES)} on the path"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, headless=True, args=list(_ARGUMENTS))
        try:
            yield started
        finally:
            started.close()


def keep_picture(page: Any, name: str, **more: Any) -> Path:
    """Save what the page looks like, in the folder that MICROLEV_SCREENSHOTS names or in build/screenshots."""
    folder = Path(os.environ.get("MICROLEV_SCREENSHOTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower()).strip('-')}.png"
    path.write_bytes(page.screenshot(**more))  # with a path it would leave a thread behind
    return path
