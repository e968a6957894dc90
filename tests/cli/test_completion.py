"""Completion in a shell: scripts for the shells that are named, and the words that they are told."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.completion import SHELLS
from bot.cli.main import app, main

ROOT = Path(__file__).resolve().parent.parent.parent


def completed(words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what bash is offered for the last word of a line, as its script asks for it."""
    monkeypatch.setenv("_MICROLEV_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    return capsys.readouterr().out.split()


def test_every_command_is_offered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback is not None}
    assert set(completed("microlev ", capsys, monkeypatch)) == names | {group.name for group in app.registered_groups}
    assert completed("microlev fl", capsys, monkeypatch) == ["flatten"]


def test_options_of_a_command_and_commands_of_a_group_are_offered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"--dry-run", "--live", "--json"} <= set(completed("microlev run --", capsys, monkeypatch))
    assert completed("microlev status --re", capsys, monkeypatch) == ["--ready"]
    assert completed("microlev auth ac", capsys, monkeypatch) == ["accounts"]


def test_files_are_left_to_the_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed("microlev run config/d", capsys, monkeypatch) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_that_is_named_is_shown(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show-completion", shell]) == 0
    shown = capsys.readouterr().out
    assert f"complete_{shell.replace('pwsh', 'powershell')}" in shown and "microlev" in shown
    assert main([f"--show-completion={shell}"]) == 0
    assert capsys.readouterr().out == shown


def test_a_shell_that_cannot_be_served_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--install-completion", "tcsh"]) == 2
    captured = capsys.readouterr()
    assert "'tcsh'" in captured.err and "bash, zsh, fish" in captured.err and captured.err.count("\n") == 1


def test_completion_is_installed_for_the_shell_that_is_named_and_twice_is_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'\n", encoding="utf-8")
    for _ in range(2):
        assert main(["--install-completion", "bash"]) == 0
    script = tmp_path / ".bash_completions" / "microlev.sh"
    assert str(script) in capsys.readouterr().out
    profile = (tmp_path / ".bashrc").read_text(encoding="utf-8")
    assert profile.startswith("alias ll=") and profile.count(str(script)) == 1
    main(["--show-completion", "bash"])
    assert script.read_text(encoding="utf-8").strip() == capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_real_bash_completes_commands_options_and_config_files(tmp_path: Path) -> None:
    program = tmp_path / "microlev"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bot "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    asked = """
        PATH="$1:$PATH"; eval "$(microlev --show-completion bash)"
        complete -p microlev
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _microlev_completion microlev; echo "${COMPREPLY[*]}"; }
        ask microlev fla; ask microlev run --exi; ask microlev run config/demo
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", asked, "bash", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    registered, *offered = done.stdout.splitlines()
    # `-o default`: where nothing is offered, bash completes names of files.
    assert "-o default" in registered and offered == ["flatten", "--exit-on-halt", ""]
