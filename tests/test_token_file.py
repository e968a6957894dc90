"""The token file: whole at every moment, for its owner's eyes only, and one refresher at a time over processes."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.errors import ConfigError, TokenFileBusy, TokenFileMissing
from bot.config.token_file import Token, TokenLock, check_replaceable, read_token_file, write_token_file

OLD = Token("old-access", "old-refresh", 1_700_000_000.0)
NEW = Token("new-access", "new-refresh", 1_800_000_000.0)
ROOT = Path(__file__).resolve().parents[1]

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and folder syncs are of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


def left_over(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if each.name not in (path.name, f"{path.name}.lock"))


texts = st.text(min_size=1).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))


@given(texts, st.none() | texts, st.none() | st.integers(0, 2**40) | st.floats(0, 1e12))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, access: str, refresh: str | None, expires_at: float | None
) -> None:
    path = tmp_path_factory.mktemp("token") / "token.json"
    write_token_file(path, Token(access, refresh, expires_at))
    assert read_token_file(path) == Token(access, refresh, expires_at)


def test_the_file_holds_the_promised_json_and_keeps_keys_of_others(path: Path) -> None:
    write_token_file(path, OLD)
    assert json.loads(path.read_text()) == {
        "access_token": "old-access", "refresh_token": "old-refresh", "expires_at": 1_700_000_000,
    }  # fmt: skip
    path.write_text(json.dumps({"note": "mine", "access_token": "x", "expires_at": None, "list": [1]}))
    write_token_file(path, NEW)
    content = json.loads(path.read_text())
    assert (content["note"], content["list"], content["access_token"]) == ("mine", [1], "new-access")


@posix
def test_the_file_is_its_owners_alone_from_the_first_byte(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    seen: list[int] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        write_token_file(path, NEW)
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_missing_folders_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "token.json"
    write_token_file(path, NEW)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert read_token_file(path) == NEW


@posix
def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "real" / "t.json", tmp_path / "link.json"
    write_token_file(target, OLD)
    link.symlink_to(target)
    write_token_file(link, NEW)
    assert link.is_symlink()
    assert read_token_file(target) == NEW
    with TokenLock(link):
        assert not TokenLock(target).try_acquire()
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(ConfigError, match="leads in a circle"):
        write_token_file(circle, NEW)


AFTER = "bot.config.token_file._sync_folder"
STEPS = ["tempfile.mkstemp", "os.fsync", "os.replace", AFTER]


@posix
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_a_whole_file_one_line_and_no_litter(
    step: str, existing: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if existing:
        write_token_file(path, OLD)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    module, _, name = step.rpartition(".")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[module], name, fail)
        with pytest.raises(ConfigError) as caught:
            write_token_file(path, NEW)
    assert str(caught.value) == f"{path}: the token file cannot be written: No space left on device"
    expected = [NEW] if step == AFTER else [OLD] if existing else []
    assert ([read_token_file(path)] if path.exists() else []) == expected
    assert left_over(path) == []


@posix
@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_leaves_the_old_or_the_new_file_whole(step: str, path: Path) -> None:
    write_token_file(path, OLD)
    module, _, name = step.rpartition(".")
    program = f"""
import os, signal, tempfile
import bot.config.token_file
from pathlib import Path
from bot.config.token_file import Token, write_token_file
real = {module}.{name}
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
{module}.{name} = die
write_token_file(Path({str(path)!r}), Token("new-access", "new-refresh", 1800000000.0))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_token_file(path) == (NEW if step == AFTER else OLD)
    write_token_file(path, NEW)
    assert read_token_file(path) == NEW


@posix
def test_a_file_system_that_cannot_sync_a_folder_is_good_enough(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_token_file(path, NEW)
    assert read_token_file(path) == NEW


def test_no_file_is_an_error_of_its_own_and_says_what_to_run(path: Path) -> None:
    with pytest.raises(TokenFileMissing, match="microlev auth login"):
        read_token_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token_file(path.parent)


@pytest.mark.parametrize("number", ["Infinity", "NaN", "-Infinity"])
def test_an_expiry_that_is_no_time_is_refused(number: str, path: Path) -> None:
    path.write_text(f'{{"access_token": "a", "expires_at": {number}}}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="seconds since 1970"):
        read_token_file(path)


@pytest.mark.parametrize("content", ["diary", "[1]", "\xff\xfe", '"text"'])
def test_something_else_in_its_place_is_found_out_beforehand(content: str, path: Path) -> None:
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="no token file"):
        check_replaceable(path)
    assert path.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("content", ["", "{}", '{"access_token": "x"}'])
def test_a_token_file_or_an_empty_one_may_be_replaced(content: str, path: Path) -> None:
    path.write_text(content)
    check_replaceable(path)
    assert (path.read_text(), left_over(path)) == (content, [])


def test_a_folder_that_cannot_be_made_is_found_out_beforehand(path: Path) -> None:
    path.write_text("a file")
    for check in (
        check_replaceable,
        lambda each: write_token_file(each, NEW),
        lambda each: TokenLock(each).try_acquire(),
    ):
        with pytest.raises(ConfigError):
            check(path / "below" / "token.json")


# -- the lock --------------------------------------------------------------------------------------------------------


def test_the_lock_is_held_by_one_and_released(path: Path) -> None:
    one, other = TokenLock(path), TokenLock(path, timeout_s=0.05)
    assert one.try_acquire()
    assert one.try_acquire()  # it is ours already
    assert not other.try_acquire()
    with pytest.raises(TokenFileBusy, match=r"for 0\.05 s"), other:
        pass
    one.release()
    one.release()
    with other:
        assert not one.try_acquire()
    assert one.try_acquire()
    one.release()


@posix
def test_without_locks_of_the_system_there_is_no_lock_rather_than_one_that_outlives_its_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def missing(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(ConfigError, match="cannot be locked: Function not implemented"):
        TokenLock(path).try_acquire()


HOLD = """
import sys
from pathlib import Path
from bot.config.token_file import TokenLock
lock = TokenLock(Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_killing_the_holder_frees_the_lock(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        mine = TokenLock(path, timeout_s=20)
        assert not mine.try_acquire()
        holder.kill()
        with mine:
            pass
