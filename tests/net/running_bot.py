"""A venue and a bot as processes, with telemetry; requests from outside."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bot.net.telemetry_file import TelemetryPlace, read_place

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60


@contextmanager
def started(
    *arguments: object, folder: Path, environment: dict[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start Python with arguments; at the end it is gone. Args: `environment` variables beside the test's own."""
    process = subprocess.Popen(
        [sys.executable, *(str(a) for a in arguments)],
        cwd=ROOT,
        env=os.environ | {"XDG_STATE_HOME": str(folder / "user"), "TMPDIR": str(folder)} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Interrupt a process; return its exit code and what it has written."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


@contextmanager
def venue(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start `microlev sim`; give its process and what it said when it was ready."""
    with started("-m", "bot", "sim", folder=folder) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())


def config(ready: dict[str, Any], folder: Path, telemetry: dict[str, Any] | None) -> Path:
    """Write a config for that venue. Args: `telemetry` its section; None for none."""
    content: dict[str, Any] = {
        "venue": {key: ready[key] for key in ("host", "port", "ca_file")} | {"environment": "simulator"},
        "account": {"id": ready["accounts"][0]["id"]},
        "credentials": {key: ready[key] for key in ("client_id", "client_secret", "access_token")},
        "symbols": {"EURUSD": {}},
        "strategy": {"name": "constant", "base_leverage": 2},
        "state": {"directory": str(folder / "state")},
    }
    if telemetry is not None:
        content["telemetry"] = {"enabled": True} | telemetry
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def until(process: subprocess.Popen[str], condition: Callable[[], Any]) -> Any:
    """Return what a condition gives as soon as it holds; it is asked after each line of the process."""
    assert process.stdout is not None
    until_s = time.monotonic() + LIMIT_S
    for _ in process.stdout:
        if found := condition():
            return found
        assert time.monotonic() < until_s, f"still not so after {LIMIT_S} s"
    raise AssertionError(f"the process ended before: {process.communicate()}")


def until_listening(process: subprocess.Popen[str], folder: Path, *, ca_file: Path | None = None) -> TelemetryPlace:
    """Return where telemetry is, when it answers."""

    def answers() -> TelemetryPlace | None:
        place = read_place(folder)
        return place if place is not None and ask(place, "/state", ca_file=ca_file)[0] == 200 else None

    found: TelemetryPlace = until(process, answers)
    return found


def ask(
    place: TelemetryPlace, path: str, *, body: Any = None, token: str | None = None, ca_file: Path | None = None
) -> tuple[int, bytes]:
    """Ask as a program does; return status and body. Status 0: no connection."""
    request = urllib.request.Request(
        f"{place.url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {place.token if token is None else token}"},
    )
    context = ssl.create_default_context(cafile=ca_file) if ca_file is not None else None
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""
