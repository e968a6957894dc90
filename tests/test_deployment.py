"""The container and the service: not root, no secret, hashed, stopped gently, and every command one that exists."""

import configparser
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from test_docs import commands_in, parse

from bot.cli.main import app
from bot.net.driver import CLOSE_LIMIT_S, STOP_LIMIT_S

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "deploy" / "microlev@.service"
sys.path.insert(0, str(ROOT / "scripts"))

import dev  # noqa: E402


class Step(NamedTuple):
    """An instruction of a Dockerfile; `stage` counts from 0."""

    stage: int
    name: str
    text: str


def steps() -> list[Step]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found, stage = [], -1
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Step(stage, name, " ".join(rest.split())))
    return found


STEPS = steps()
LAST = [step for step in STEPS if step.stage == STEPS[-1].stage]


def only(name: str) -> str:
    (step,) = [step for step in LAST if step.name == name]
    return step.text


def test_the_container_is_not_root_when_it_starts() -> None:
    names = [step.name for step in LAST]
    assert only("USER") == "microlev" and names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :] and "useradd --uid 10001" in only("RUN")


def test_its_commands_are_ones_the_program_has() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["microlev"]
    parse(json.loads(only("CMD")))
    _, _, check = only("HEALTHCHECK").partition("CMD ")
    program, *arguments = json.loads(check)
    assert program == "microlev" and arguments == ["status", json.loads(only("CMD"))[1], "--ready"]
    parse(arguments)


def test_a_stop_is_gentle_and_a_check_has_the_time_that_an_answer_may_take() -> None:
    from bot.net.control_client import REPLY_WITHIN_S

    assert only("STOPSIGNAL") == "SIGTERM"
    timeout = re.search(r"--timeout=(\d+)s", only("HEALTHCHECK"))
    assert timeout is not None and float(timeout[1]) > REPLY_WITHIN_S


def test_state_config_and_token_are_volumes_that_their_user_owns() -> None:
    volumes = json.loads(only("VOLUME"))
    assert volumes == ["/config", "/state", "/home/microlev/.config/microlev"]
    assert "-o microlev -g microlev -m 0700 /state /home/microlev/.config/microlev" in only("RUN")
    assert "XDG_STATE_HOME=/state" in only("ENV") and "HOME=/home/microlev" in only("ENV")


def test_what_is_copied_exists_and_is_not_kept_out() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    copied = []
    for step in STEPS:
        if step.name == "COPY" and "--from=" not in step.text:
            *sources, _ = step.text.split()
            copied += [source.removeprefix("./") for source in sources]
    assert set(copied) == {"bot", "strategies", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert rules[0] == "*" and {rule[1:] for rule in rules if rule[0] == "!"} == set(copied)
    kept_out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    assert any(fnmatch.fnmatch("loop.py311.1.nbc", rule) for rule in kept_out)
    assert "__pycache__" in kept_out


def test_no_secret_has_a_place_in_a_layer() -> None:
    for step in STEPS:
        assert not (step.name == "ARG" and re.search("TOKEN|SECRET|CLIENT|KEY", step.text, re.IGNORECASE))
        assert not re.search(r"CTRADER_|token\.json|\.env\b", step.text) or step.name == "VOLUME", step


def test_everything_is_installed_by_hash_with_the_uv_of_the_project() -> None:
    installs = [each for step in STEPS if step.name == "RUN" for each in step.text.split("&&") if "pip install" in each]
    own, *others = installs
    assert "uv==${UV_VERSION}" in own and f"UV_VERSION={dev.UV_VERSION}" in [s.text for s in STEPS if s.name == "ARG"]
    assert len(others) == 2
    assert "--require-hashes --constraint requirements.lock -r pyproject.toml" in others[0]
    assert "--no-deps --build-constraints requirements.lock --editable ." in others[1]


def test_the_extras_exist_and_the_lock_holds_all_that_they_want() -> None:
    (extras,) = [step.text for step in STEPS if step.name == "ARG" and step.text.startswith("EXTRAS")]
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    names = re.findall(r"--extra (\w+)", extras)
    assert names == ["alerts", "dashboard"]
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    wanted = {re.split(r"[<>=\[; ]", requirement)[0] for name in names for requirement in offered[name]}
    assert wanted <= pinned and "hatchling" in pinned


def test_the_loops_are_compiled_for_any_processor_where_the_user_may_write() -> None:
    built = [step.text for step in STEPS if step.stage == 0 and step.name == "ENV"]
    assert built == ["NUMBA_CACHE_DIR=/opt/microlev/loops NUMBA_CPU_NAME=generic"]
    assert all(setting in only("ENV") for setting in built[0].split())
    assert any("--chown=microlev:microlev /opt/microlev/loops" in step.text for step in LAST if step.name == "COPY")


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_the_service_runs_a_command_that_exists_as_a_user_of_its_own(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.endswith("/.venv/bin/microlev") and "--live" not in arguments
    parse(arguments)
    assert (service["User"], service["Group"]) == ("microlev", "microlev")


def test_a_service_that_needs_a_person_is_not_started_again(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["Restart"] == "on-failure" and service["RestartPreventExitStatus"].split() == ["2", "3", "5"]
    assert service["SuccessExitStatus"] == "130" and service["KillSignal"] == "SIGTERM"
    assert float(service["TimeoutStopSec"]) > STOP_LIMIT_S + CLOSE_LIMIT_S
    burst, interval_s = int(unit["Unit"]["StartLimitBurst"]), float(unit["Unit"]["StartLimitIntervalSec"])
    start_s = 10.0  # of a slow machine, before it fails at once
    assert burst * (float(service["RestartSec"]) + start_s) < interval_s


def test_a_venue_that_is_away_at_the_start_is_tried_for_ever(unit: configparser.ConfigParser) -> None:
    from bot.config.model import VenueConfig

    # A broker that is serviced on a Sunday while the machine starts anew: positions are not left alone for that.
    burst, interval_s = int(unit["Unit"]["StartLimitBurst"]), float(unit["Unit"]["StartLimitIntervalSec"])
    from_start_to_start_s = VenueConfig().connect_timeout_s + float(unit["Service"]["RestartSec"])
    assert (burst - 1) * from_start_to_start_s >= interval_s


def test_the_container_comes_back_after_the_machine_was_started_anew() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (run,) = re.findall(r"^\$ docker run -d .*$", text, re.MULTILINE)
    assert "--restart unless-stopped" in run, "on-failure would leave it down"


def test_what_the_document_copies_is_named_from_where_it_lies() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    copied = re.findall(r"^\$ sudo install -[^d].*? (\S+) /etc/\S+$", text, re.MULTILINE)
    assert len(copied) == 3
    for source in copied:
        assert source.startswith("/opt/microlev/") and (ROOT / source.removeprefix("/opt/microlev/")).is_file()


def test_a_service_may_do_little_and_its_secrets_are_in_files_for_it_alone(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictSUIDSGID"):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict" and service["CapabilityBoundingSet"] == ""
    assert "MemoryDenyWriteExecute" not in service, "numba compiles to memory"
    assert service["EnvironmentFile"] == "/etc/microlev/%i.env" and service["StateDirectoryMode"] == "0700"
    assert "HOME=%S/microlev/%i" in service["Environment"] and service["UMask"] == "0077"


def test_the_example_of_its_environment_names_what_the_demo_config_takes_and_holds_nothing() -> None:
    lines = (ROOT / "deploy" / "microlev.env.example").read_text("utf-8").splitlines()
    given = [line for line in lines if line and not line.startswith("#")]
    config = re.sub(r"^#.*", "", (ROOT / "config" / "demo.yaml").read_text("utf-8"), flags=re.MULTILINE)
    assert {line.rstrip("=") for line in given} == set(re.findall(r"\$\{([A-Z_]+)\}", config)) - {"NAME"}
    assert all(line.endswith("=") for line in given)


def test_every_command_of_ours_within_another_in_the_document_exists() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    commands = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback is not None}
    seen = 0
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in commands_in(block, language_has_prompts=True):
            words = shlex.split(line)
            for place, word in enumerate(words[:-1]):
                if Path(word).name == "microlev" and words[place + 1] in {*commands, "auth"}:
                    parse(words[place + 1 :])
                    seen += 1
    assert seen >= 5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/microlev/.venv/bin/microlev", "/bin/true")
    path = tmp_path / "microlev@demo.service"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
