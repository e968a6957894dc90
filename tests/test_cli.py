"""The command line: help, version, one line for a mistake, and the two commands that need no venue."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bot import __version__
from bot.cli.main import app, main

MINIMAL = "account: {id: 1}\nsymbols: {EURUSD: {}}\nstrategy: {name: constant}\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CTRADER_CLIENT_ID", "CTRADER_CLIENT_SECRET", "_TYPER_COMPLETE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bot.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert {"check", "schema"} <= {line.split()[0] for line in shown.splitlines() if line.startswith("  ")}


@pytest.mark.parametrize("command", [info.name or info.callback.__name__ for info in app.registered_commands])
def test_every_command_is_listed_with_a_few_words_and_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert f"microlev {command}" in capsys.readouterr().out
    main(["--help"])
    assert re.search(rf"^  {command} +\S+ \S+", capsys.readouterr().out, re.MULTILINE)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"microlev {__version__}\n"


@pytest.mark.parametrize("group", [[], ["auth"], ["alerts"]])
def test_without_a_command_the_help_is_shown_as_help_and_the_exit_code_says_usage(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*group, "--help"]) == 0
    asked_for = capsys.readouterr().out
    assert main(group) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == asked_for


@pytest.mark.parametrize("group", [[], ["auth"], ["alerts"]])
def test_no_line_of_the_list_of_commands_ends_in_the_middle(
    group: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main([*group, "--help"])
    shown = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert shown and [line for line in shown if line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["chekc"], "microlev: No such command 'chekc'. Did you mean 'check'"),
        (["check"], "microlev check: Missing argument 'CONFIG'; see `microlev check --help`"),
        (["check", "--frobnicate", "x"], "microlev check: No such option: --frobnicate"),
        (["check", "none.yaml"], "none.yaml: no such file; give the path of a YAML config"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error_and_exit_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1


def test_check_prints_the_effective_config_and_warns(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config)]) == 0
    captured = capsys.readouterr()
    effective = yaml.safe_load(captured.out)
    assert effective["symbols"] == {"EURUSD": {"direction": "long", "weight": 1.0}}
    assert effective["risk"]["max_leverage"] == 10.0
    assert effective["sizing"]["warm_up_s"] == 0.0
    assert all(line.startswith("warning: ") for line in captured.err.splitlines())


def test_check_shows_no_secret(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTRADER_CLIENT_ID", "s3cret-id")
    monkeypatch.setenv("CTRADER_CLIENT_SECRET", "s3cret-client")
    config.write_text(MINIMAL + "credentials: {access_token: s3cret-token}", encoding="utf-8")
    assert main(["check", str(config)]) == 0
    captured = capsys.readouterr()
    assert "s3cret" not in captured.out + captured.err
    assert captured.out.count("'**********'") == 3


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("moed: trade", r"bot\.yaml:4: moed: unknown key, did you mean 'mode'\?"),
        ("risk: {max_leverage: x}", r"bot\.yaml:4: risk\.max_leverage: is 'x'; should be a valid number"),
    ],
)
def test_check_ends_with_2_and_one_line_for_a_bad_config(
    config: Path, extra: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(MINIMAL + extra, encoding="utf-8")
    assert main(["check", str(config)]) == 2
    captured = capsys.readouterr()
    assert re.search(line, captured.err)
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_check_refuses_a_parameter_that_the_strategy_does_not_have(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(MINIMAL.replace("constant", "constant, parameters: {alpha: 1}"), encoding="utf-8")
    assert main(["check", str(config)]) == 2
    assert ":3: strategy.parameters: " in capsys.readouterr().err


def test_check_warns_of_a_strategy_that_fails_on_made_up_features_and_refuses_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def leverage(features, base):\n    return base * {}['k']\n", encoding="utf-8")
    config.write_text(MINIMAL.replace("constant", str(mine)), encoding="utf-8")
    assert main(["check", str(config)]) == 0
    told = f"warning: strategy: {mine}:2: KeyError: 'k' (on made-up features; mine may fail in a run too)"
    assert told in capsys.readouterr().err.splitlines()


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["symbols"]
    assert schema["properties"]["mode"]["enum"] == ["dry-run", "trade"]


def test_an_interrupt_ends_with_130(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bot.config.load_config", interrupted)
    assert main(["check", str(config)]) == 130


def test_a_defect_is_not_dressed_up_as_a_users_mistake(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("bot.config.load_config", broken)
    with pytest.raises(ValueError, match="a bug"):
        main(["check", str(config)])


HEAVY = {"numba", "numpy", "twisted", "pydantic", "pyarrow", "google.protobuf", "yaml"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bot.cli.main import main; code = main(['--help']);"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "heavy: []")


def test_python_dash_m_bot_is_the_command_and_passes_the_exit_code_on() -> None:
    done = subprocess.run([sys.executable, "-m", "bot", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("microlev check: Missing argument 'CONFIG'")
