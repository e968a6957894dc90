"""Opens a person's browser without letting it near our terminal."""

import os
import subprocess
import sys
import threading

_OPEN = "import sys, webbrowser; webbrowser.open(sys.argv[1])"
_LIMIT_S = 60.0


def open_browser(url: str) -> bool:
    """Try to open an address; return whether there is a screen on which it could show.

    It happens in a process of its own, in the background: some browsers write to their terminal, or take it over, or do
    not return before they are closed.
    """
    has_screen = os.name == "nt" or sys.platform == "darwin" or _has_display()
    if has_screen:
        threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()
    return has_screen


def _has_display() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open(url: str) -> None:
    nothing = subprocess.DEVNULL
    try:
        subprocess.run(
            [sys.executable, "-c", _OPEN, url],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,  # Ctrl-C is for us
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # the address has been printed
