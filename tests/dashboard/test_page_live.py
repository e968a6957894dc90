"""The whole thing in a real browser: a demo that trades, its telemetry, the page; then a run from its journal."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chromium import DESKTOP, PHONE, browser, keep_picture
from tests.started_commands import LINK, ROOT, Started, telemetry_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="finds the demo's processes in /proc"),
]
LIMIT_MS = 20_000
# Everything the page says of one snapshot, in one breath: between two questions it would be another one's.
_SHOWN = """() => ({
    time_ns: document.querySelector("[data-testid='age']").dataset.timeNs,
    values: Object.fromEntries([...document.querySelectorAll("[data-testid^='value:']")]
        .map(each => [each.dataset.testid.slice(6), each.dataset.value])),
})"""
_ACCOUNT = ("equity", "balance", "used_margin", "margin_level")
_SYMBOL = (
    *("spread_bps", "liquidity_ratio", "obi", "ofi", "volatility_bps"),
    *("leverage_wanted", "leverage_goal", "leverage_target", "leverage_now"),
)


class Listener:
    """Reads a bot's stream beside the dashboard; the snapshots by their time."""

    def __init__(self, folder: Path) -> None:
        place = json.loads((folder / "telemetry.json").read_text(encoding="utf-8"))
        self.url, self.headers = place["url"], {"Authorization": f"Bearer {place['token']}"}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def state(self) -> dict[str, Any]:
        with httpx.Client(trust_env=False, headers=self.headers, timeout=10) as client:
            return client.get(f"{self.url}/state").json()  # type: ignore[no-any-return]

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _read(self) -> None:
        client = httpx.Client(trust_env=False, headers=self.headers, timeout=30)
        try:
            with client, client.stream("GET", f"{self.url}/stream?every_s=0.25") as answer:
                for line in answer.iter_lines():
                    snapshot = json.loads(line)
                    self.snapshots[str(snapshot["time_ns"])] = snapshot
        except httpx.TransportError:
            pass  # the bot has ended


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


def _open(chromium: Any, address: str, size: dict[str, int] = DESKTOP, language: str = "en-GB") -> Any:
    context = chromium.new_context(viewport=size, locale=language)
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(address)
    return page


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _expected(snapshot: dict[str, Any]) -> dict[str, float | None]:
    each = next(each for each in snapshot["symbols"] if each["symbol"] == "EURUSD")
    limits = snapshot["account_limits"]
    return {
        **{name: snapshot[name] for name in _ACCOUNT},
        **{name: limits[name] for name in ("stop_out_loss", "stop_out_move_frac", "leverage")},
        **{f"EURUSD:{name}": each[name] for name in _SYMBOL},
        **{f"position:{p['position_id']}:unrealised": p["unrealised"] for p in snapshot["positions"]},
    }


def _give(page: Any, command: str, reason: str = "") -> None:
    page.locator(f"[data-testid='command:{command}']").click()
    page.locator(f"[data-testid='confirmation:{command}']").wait_for()
    if reason:
        page.locator("[data-testid='reason']").fill(reason)
    page.locator("[data-testid='confirm']").click()
    page.locator("[data-testid='outcome']").wait_for()
    page.locator("[data-testid='cancel']").click()


def test_the_page_shows_what_the_engine_has_and_steers_it(
    chromium: Any, started: list[Started], tmp_path: Path
) -> None:
    demo = Started("demo", "--dashboard", "--no-browser", "--trade", "--json", folder=tmp_path)
    started.append(demo)
    home, token = demo.line(LINK).groups()
    demo.line(re.compile("telemetry on"))
    drain = threading.Thread(target=lambda: [None for _ in demo.process.stdout or ()])
    drain.start()
    listener = Listener(telemetry_of(tmp_path))

    refused = _open(chromium, f"{home}/?token=wrong")
    assert refused.locator("form").count() == 1 and refused.locator("[data-testid]").count() == 0
    refused.locator("input").first.fill("also-wrong")
    with refused.expect_navigation() as answer:
        refused.locator("button").first.click()
    assert answer.value.status == 403

    page = _open(chromium, f"{home}/?token={token}")
    page.locator("[data-testid^='value:position:']").first.wait_for()
    compared = 0
    for _ in range(40):
        shown = page.evaluate(_SHOWN)
        snapshot = listener.snapshots.get(shown["time_ns"])
        if snapshot is not None:
            expected = _expected(snapshot)
            values = {name: _number(shown["values"].get(name)) for name in expected}
            assert values == expected, shown["time_ns"]
            compared += 1
        page.wait_for_timeout(150)
    assert compared >= 10
    assert page.locator("[data-testid='if_spread_doubles']").inner_text() != ""
    keep_picture(page, "live demo", full_page=True)

    phone = _open(chromium, f"{home}/?token={token}", PHONE, "ja-JP")
    phone.locator("[data-testid='why']").wait_for()
    assert phone.evaluate("document.documentElement.lang") == "ja"
    assert phone.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    _give(page, "halt", "to see it")
    page.locator("[data-testid='trading'][data-value='halted']").wait_for()
    state = listener.state()
    assert state["trading"] == "halted" and "to see it" in json.dumps(state["causes"])
    phone.locator("[data-testid='trading'][data-value='halted']").wait_for()  # every page is told
    _give(page, "resume")
    page.locator("[data-testid='trading'][data-value='active']").wait_for()
    _give(page, "flatten")
    page.locator("[data-testid^='value:position:']").first.wait_for(state="detached")
    assert listener.state()["positions"] == []
    keep_picture(page, "live demo flat", full_page=True)
    phone.context.close()
    page.context.close()
    refused.context.close()

    demo.process.send_signal(signal.SIGINT)
    drain.join(30)
    assert demo.process.wait(30) == 130
    listener.end()


def test_a_recorded_session_can_be_scrubbed(chromium: Any, started: list[Started], tmp_path: Path) -> None:
    demo = Started("demo", "--trade", "--seconds", 12, "--record", tmp_path / "kept", folder=tmp_path)
    started.append(demo)
    assert demo.end()[0] == 0
    (journal,) = (tmp_path / "kept").glob("*.journal*")
    told = subprocess.run(
        [sys.executable, "-m", "bot", "snapshots", str(journal)], cwd=ROOT, capture_output=True, check=True
    ).stdout
    lines = [json.loads(line) for line in told.splitlines()]
    recorded = [line for line in lines if line["type"] == "snapshot"]

    command = Started("dashboard", journal, "--no-browser", folder=tmp_path)
    started.append(command)
    home, token = command.line(LINK).groups()
    page = _open(chromium, f"{home}/?token={token}")
    slider = page.locator("[data-testid='slider']")
    slider.wait_for()
    page.wait_for_function(
        "last => [...document.querySelectorAll('[aria-valuemax]')].some(each => +each.ariaValueMax >= last)",
        arg=len(recorded) - 1,
    )
    assert page.locator("[data-testid^='command:']").count() == 0
    slider.click(position={"x": 1, "y": 15})
    page.wait_for_function(
        f"document.querySelector(\"[data-testid='age']\").dataset.timeNs == '{recorded[0]['time_ns']}'"
    )
    for _ in range(30):
        slider.press("ArrowRight")
    page.wait_for_function(
        f"document.querySelector(\"[data-testid='age']\").dataset.timeNs == '{recorded[30]['time_ns']}'"
    )
    shown = page.evaluate(_SHOWN)
    expected = _expected(recorded[30])
    assert {name: _number(shown["values"].get(name)) for name in expected} == expected
    page.locator("[data-testid='play']").click()
    page.wait_for_function(
        f"+document.querySelector(\"[data-testid='age']\").dataset.timeNs > {recorded[32]['time_ns']}"
    )
    keep_picture(page, "recorded session", full_page=True)
    page.context.close()
    command.process.send_signal(signal.SIGINT)
    assert command.end(20)[0] == 130
