"""`scripts/dev.py`: what it runs, when it sets up, and what it says when it cannot."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "dev.py"


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with its folders moved to an empty place."""
    spec = importlib.util.spec_from_file_location("dev", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    places = {"VENV": venv, "STAMP": venv / "stamp", "PYTHON": venv / "bin" / "python", "TOOLS": tmp_path / "tools"}
    places |= {"LOOPS_STAMP": venv / "loops", "LOOP_FOLDERS": (tmp_path / "bot",)}
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    return module


def test_demo_and_microlev_are_the_command_with_its_arguments(dev: ModuleType) -> None:
    microlev = str(dev.VENV / dev.BIN / f"microlev{dev.EXE}")
    assert dev.command_for("demo", ["--seconds", "5"]) == [microlev, "demo", "--seconds", "5"]
    assert dev.command_for("microlev", ["check", "x.yaml"]) == [microlev, "check", "x.yaml"]


def test_the_fast_tests_run_on_every_core_and_take_more_arguments(dev: ModuleType) -> None:
    begin = ["-m", "pytest", *dev.PARALLEL, "-m", "not slow"]
    assert dev.command_for("test", [])[1:] == begin
    assert dev.command_for("test", ["-n", "0"])[1:] == [*begin, "-n", "0"]


def test_tests_keep_bytecode_though_not_beside_the_sources_where_that_is_not_wanted(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    dev.keep_bytecode()
    assert os.environ == {}, "Python's own way"
    monkeypatch.setattr(os, "environ", {"PYTHONDONTWRITEBYTECODE": "1"})
    dev.keep_bytecode()
    assert os.environ == {"PYTHONPYCACHEPREFIX": str(dev.VENV / "bytecode")}
    monkeypatch.setattr(os, "environ", {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "elsewhere"})
    dev.keep_bytecode()
    assert os.environ == {"PYTHONPYCACHEPREFIX": "elsewhere"}


def test_run_takes_any_program_of_the_environment(dev: ModuleType) -> None:
    assert dev.command_for("run", ["--", "python", "-c", "1"]) == [str(dev.PYTHON), "-c", "1"]
    assert dev.command_for("run", ["mypy"]) == [str(dev.VENV / dev.BIN / f"mypy{dev.EXE}")]


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["run"], ["run", "--"]])
def test_bad_usage_is_one_line_and_exit_2(
    dev: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dev.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dev.py: usage: python scripts/dev.py demo | test")
    assert captured.err.count("\n") == 1


def test_an_old_python_is_named_before_anything_is_done(
    dev: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "LEAST_PYTHON", (9, 9))
    assert dev.main(["test"]) == 2
    assert "Python 9.9 or newer is needed" in capsys.readouterr().err


def test_an_environment_that_fits_its_stamp_is_not_touched(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "find_uv", lambda: pytest.fail("it was set up again"))
    dev.PYTHON.parent.mkdir(parents=True)
    dev.PYTHON.touch()
    dev.STAMP.write_text(dev.wanted_stamp(), encoding="utf-8")
    steps: list[str] = []
    monkeypatch.setattr(dev, "quiet", lambda command, what: steps.append(what))
    dev.set_up()
    dev.set_up()
    assert steps == ["compiling"], "the loops, once"


def test_loops_whose_source_has_changed_are_compiled_anew_with_all_that_call_them(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(dev, "quiet", lambda command, what: steps.append(what))
    dev.VENV.mkdir()
    cache = tmp_path / "bot" / "market" / "__pycache__"
    cache.mkdir(parents=True)
    source, other = tmp_path / "bot" / "market" / "book.py", tmp_path / "bot" / "plain.py"
    layout = tmp_path / "bot" / "market" / "layout.py"
    layout.write_text("ROW = 1", encoding="utf-8")
    source.write_text("from bot.market.layout import ROW\n@njit\ndef f(): ...", encoding="utf-8")
    other.write_text("def g(): ...", encoding="utf-8")
    dev.compile_loops()
    for name in ("caller.nbi", "caller.1.nbc", "caller.pyc"):
        (cache / name).touch()
    other.write_text("def g(): return 1", encoding="utf-8")
    dev.compile_loops()
    assert len(list(cache.iterdir())) == 3, "nothing compiled has changed"
    source.write_text("@njit\ndef f(): return 1", encoding="utf-8")
    dev.compile_loops()
    assert [path.name for path in cache.iterdir()] == ["caller.pyc"]
    source.write_text("from bot.market.layout import ROW\n@njit\ndef f(): return 1", encoding="utf-8")
    dev.compile_loops()
    (cache / "caller.nbi").touch()
    layout.write_text("ROW = 2", encoding="utf-8")
    dev.compile_loops()
    assert [path.name for path in cache.iterdir()] == ["caller.pyc"], "what a loop takes from elsewhere is frozen in it"
    assert steps == ["compiling"] * 4


def test_a_new_lock_is_installed_and_stamped(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[str] = []
    monkeypatch.setattr(dev, "find_uv", lambda: "uv")
    monkeypatch.setattr(dev, "quiet", lambda command, what: steps.append(what))
    monkeypatch.setattr(dev, "runs_this_python", lambda python: True)
    dev.VENV.mkdir()
    dev.STAMP.write_text("of an older lock", encoding="utf-8")
    dev.set_up()
    assert steps == ["installing requirements.lock", "installing", "compiling"]
    assert dev.installed_stamp() == dev.wanted_stamp()


def test_a_failed_step_leaves_no_stamp_and_says_one_line(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "find_uv", lambda: sys.executable)  # not uv: every step fails
    dev.VENV.mkdir()
    dev.STAMP.write_text("of an older lock", encoding="utf-8")
    assert dev.main(["test"]) == 1
    assert "making .venv failed (see above); is the network there?" in capsys.readouterr().err.splitlines()[-1]
    assert dev.installed_stamp() == ""


def test_without_uv_and_without_pip_the_error_names_both(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if "--version" in command and "pip" not in command:
            raise FileNotFoundError
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.subprocess, "run", no_pip)
    with pytest.raises(dev.SetupFailed, match="this Python has no pip and there is no uv on the PATH"):
        dev.find_uv()


def test_a_uv_on_the_path_is_taken_unless_it_is_too_old(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(dev.TOOLS / "bin" / f"uv{dev.EXE}")
    versions = {"/x/uv": (0, 6), own: (0, 13)}
    monkeypatch.setattr(dev.shutil, "which", lambda name: "/x/uv")
    monkeypatch.setattr(dev, "uv_version", lambda uv: versions[uv])
    assert dev.find_uv() == "/x/uv"
    versions["/x/uv"] = (0, 4)
    assert dev.find_uv() == own
