"""`microlev auth` as processes: two refreshes at once, a login by paste, and no secret in any output."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from browser import visit

from bot.config.token_file import Token, read_token_file, write_token_file

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "bot"]
LIMIT_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def ready() -> Iterator[dict[str, Any]]:
    with subprocess.Popen(
        [*COMMAND, "sim"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.kill()


def config_for(ready: dict[str, Any], folder: Path) -> Path:
    content = {
        "venue": {
            "environment": "simulator", "host": ready["host"], "port": ready["port"], "ca_file": ready["ca_file"],
            "oauth_url": ready["oauth_url"],
        },
        "credentials": {key: ready[key] for key in ("client_id", "client_secret")}
        | {"token_file": str(folder / "token.json")},
        "symbols": {"EURUSD": {}},
        "strategy": {"name": "constant"},
    }  # fmt: skip
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def start(*arguments: object) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *map(str, arguments)], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_processes_that_refresh_at_once_use_each_refresh_token_once(ready: dict[str, Any], tmp_path: Path) -> None:
    config, path = config_for(ready, tmp_path), tmp_path / "token.json"
    write_token_file(path, Token(ready["access_token"], ready["refresh_token"], 1.0))
    running = [start("auth", "refresh", config, "--json") for _ in range(4)]
    said = [process.communicate(timeout=LIMIT_S) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    last = read_token_file(path)
    assert last.access_token != ready["access_token"]
    lines = [json.loads(out) for out, _ in said]
    assert max(line["expires_at"] for line in lines) == round(last.expires_at or 0)
    # Whoever came last, the pair in the file is the one that the venue knows.
    with start("auth", "refresh", config) as again:
        again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0
    with start("auth", "accounts", config, "--json") as listing:
        out, err = listing.communicate(timeout=LIMIT_S)
    assert (listing.returncode, json.loads(out)["id"]) == (0, ready["accounts"][0]["id"]), err
    shown = "".join(out + err for out, err in said) + out + err
    now = read_token_file(path)
    secrets = [ready["client_secret"], ready["access_token"], ready["refresh_token"]]
    secrets += [last.access_token, str(last.refresh_token), now.access_token, str(now.refresh_token)]
    assert [secret for secret in secrets if secret in shown] == []


def test_a_login_through_a_pipe_as_a_script_would_do_it(ready: dict[str, Any], tmp_path: Path) -> None:
    config = config_for(ready, tmp_path)
    uri = "http://localhost:1/"  # nothing of ours can listen there without being root
    with start("auth", "login", config, "--json", "--no-browser", "--redirect-uri", uri, "--port", 0) as login:
        assert login.stdout is not None
        assert login.stdin is not None
        address = json.loads(login.stdout.readline())
        print(visit(address["url"]).location, file=login.stdin, flush=True)
        out, err = login.communicate(timeout=LIMIT_S)
    assert login.returncode == 0, err
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["token", "account"]
    token = read_token_file(tmp_path / "token.json")
    assert [each for each in (token.access_token, str(token.refresh_token)) if each in out + err] == []
    with start("run", config, "--seconds", "0", "--json") as run:
        out, err = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, err
