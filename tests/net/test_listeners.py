"""What listens is what the security notes say and nothing else: sockets of real processes, compared with the table."""

import ipaddress
import re
import socket
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest
from running_bot import ROOT, config, started, until, until_listening, venue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc is what tells the sockets of a process"),
]
_LISTENS = "0A"
_DEMO = """
import sys
from pathlib import Path
from bot.app import run_demo
run_demo(market="synthetic:calm", seed=1, trade=False, seconds=60, faults=None, journal_directory=Path(sys.argv[1]),
         watch=lambda run: [lambda decision: print('.', flush=True)], summarise=lambda run, driver: {},
         telemetry=sys.argv[2] == "on", steer_by=lambda path: print(path.parent, flush=True))
"""


def told(process: str) -> Counter[str]:
    """Return the addresses that the notes have for a process."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {re.escape(process)} \| (.*) \|$", text, re.MULTILINE)
    addresses = Counter(re.findall(r"`(\S+)`", row))
    assert addresses or row == "none"
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        del addresses["::1"]
    return addresses


def listening(process_id: int) -> Counter[str]:
    """Return the addresses at which a process listens by TCP, or is bound by UDP."""
    links = [path.readlink().name for path in Path(f"/proc/{process_id}/fd").iterdir() if path.is_symlink()]
    inodes = {match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
    found: Counter[str] = Counter()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        path = Path(f"/proc/{process_id}/net/{kind}")
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else ():
            cells = line.split()
            if cells[9] in inodes and (cells[3] == _LISTENS or kind.startswith("udp")):
                found[address(cells[1].partition(":")[0])] += 1
    return found


def address(text: str) -> str:
    """Return an address of /proc/net: words of four bytes in the machine's order."""
    packed = b"".join(
        bytes.fromhex(text[i : i + 8])[:: -1 if sys.byteorder == "little" else 1] for i in range(0, len(text), 8)
    )
    return str(ipaddress.ip_address(packed))


@pytest.mark.parametrize(
    ("text", "meant"), [("0100007F", "127.0.0.1"), ("0" * 24 + "01000000", "::1"), ("0" * 8, "0.0.0.0")]
)
@pytest.mark.skipif(sys.byteorder != "little", reason="the examples are of a machine that has the last byte first")
def test_an_address_of_the_kernel_is_read_right(text: str, meant: str) -> None:
    assert address(text) == meant


def test_a_listener_that_nobody_told_of_is_found(tmp_path: Path) -> None:
    code = "import socket; s = socket.create_server(('0.0.0.0', 0)); print(1, flush=True); input()"
    with started("-c", code, folder=tmp_path, stdin=-1) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert listening(process.pid) == Counter(["0.0.0.0"])


def test_a_run_listens_nowhere_and_with_telemetry_at_one_place_of_this_machine(tmp_path: Path) -> None:
    with venue(tmp_path) as (sim, ready), ExitStack() as stack:
        assert listening(sim.pid) == told("`sim`")
        for name, section in (("`run`", None), ("`run` with telemetry", {})):
            folder = tmp_path / name.strip("`").replace("`", "")
            folder.mkdir()
            path = config(ready, folder, section)
            process = stack.enter_context(started("-m", "bot", "run", path, "--json", folder=folder))
            until(process, lambda folder=folder: has_control(folder / "state"))
            if section is not None:
                until_listening(process, folder / "state")
            assert listening(process.pid) == told(name)


def has_control(folder: Path) -> bool:
    """Tell whether a run has its control socket: in its folder, or where that says when its path is too long."""
    return any(folder.glob("control.sock*"))


def link_of(process: Popen[str], *others: str) -> str:
    """Wait until a page can be opened, and until lines that begin so have come; return its link."""
    assert process.stderr is not None
    link, missing = "", set(others)
    for line in process.stderr:
        link = line.split()[1] if line.startswith("dashboard: ") else link
        missing -= {start for start in missing if line.startswith(start)}
        if link and not missing:
            return link
    raise AssertionError("it ended before")


def test_a_dashboard_listens_at_one_place_of_this_machine(tmp_path: Path) -> None:
    given = ("-m", "bot", "dashboard", "http://127.0.0.1:9", "--no-browser")
    token = {"MICROLEV_TELEMETRY_TOKEN": "t-1"}
    with started(*given, folder=tmp_path, environment=token) as process:
        assert link_of(process).startswith("http://127.0.0.1:")
        assert listening(process.pid) == told("`dashboard`")


def test_the_page_of_a_demo_is_a_process_of_its_own_that_listens_as_a_dashboard(tmp_path: Path) -> None:
    with started("-m", "bot", "demo", "--dashboard", "--no-browser", "--json", folder=tmp_path) as process:
        link_of(process, "telemetry on")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
        (page,) = (int(number) for number in children.split())
        assert listening(page) == told("`dashboard`")
        assert listening(process.pid) == told("`demo` with telemetry")


@pytest.mark.parametrize(("flag", "name"), [("off", "`demo`"), ("on", "`demo` with telemetry")])
def test_a_demo_listens_for_its_venue_and_for_telemetry_when_it_is_asked_to(
    flag: str, name: str, tmp_path: Path
) -> None:
    with started("-c", _DEMO, tmp_path / "journals", flag, folder=tmp_path) as process:
        assert process.stdout is not None
        state = Path(process.stdout.readline().strip())
        if flag == "on":
            until_listening(process, state)
        else:
            until(process, lambda: has_control(state))
        assert listening(process.pid) == told(name)
