"""The page in a real browser: what it shows is what the bot says, and it steers only when it is told to twice."""

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bot.dashboard.server import Wishes, listen, serve
from tests.chromium import DESKTOP, PHONE, browser, keep_picture
from tests.page_clients import fresh_nicegui
from tests.page_snapshots import newest, paper_run, resting_run
from tests.replayed_feed import ReplayedFeed

pytestmark = pytest.mark.slow
TOKEN = "right-4f1c9d"
LIMIT_MS = 15_000
Open = Callable[..., Any]


@contextmanager
def _served(feed: ReplayedFeed) -> Iterator[str]:
    """Serve a feed as `microlev dashboard` does, and return the address that opens it."""
    listener = listen(0)
    is_open, is_over = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            serve(feed, listener, lambda: [TOKEN], Wishes(), announce=is_open.set, until=is_over.wait)  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)
            is_open.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert is_open.wait(30) and not errors
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/?token={TOKEN}"
    finally:
        is_over.set()
        thread.join(30)
    assert not thread.is_alive() and errors == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(autouse=True)
def _one_application() -> Iterator[None]:
    with fresh_nicegui():
        yield


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """Opens a feed's page; an error in the browser, or a request to anywhere else, fails the test."""
    ends: list[Callable[[], Any]] = []
    faults: list[str] = []

    def open_page(
        feed: ReplayedFeed,
        size: dict[str, int] = DESKTOP,
        shade: str = "light",
        language: str = "en",
        ratio: int = 1,
    ) -> Any:
        served = _served(feed)
        address = served.__enter__()
        ends.append(lambda: served.__exit__(None, None, None))
        locale = "ja-JP" if language == "ja" else "en-GB"
        context = chromium.new_context(
            viewport=size, color_scheme=shade, locale=locale, timezone_id="Asia/Tokyo", device_scale_factor=ratio
        )
        ends.append(context.close)
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        home = address.partition("?")[0]
        page.on("request", lambda asked: None if _is_own(asked.url, home) else faults.append(asked.url))
        page.goto(address)
        page.locator("[data-testid='ready'], [data-testid='trouble']").first.wait_for()
        return page

    yield open_page
    for end in reversed(ends):
        end()
    assert faults == []


def _is_own(url: str, home: str) -> bool:
    return url.startswith((home, home.replace("http:", "ws:"), "data:", "blob:"))


def _value(page: Any, place: str) -> float | None:
    raw = page.locator(f"[data-testid='value:{place}']").first.get_attribute("data-value")
    return float(raw) if raw else None


def _is_narrow_enough(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def _until(page: Any, question: str) -> None:
    page.wait_for_function(question, timeout=LIMIT_MS)


def test_the_values_on_the_page_are_those_of_the_snapshot(opened: Open) -> None:
    snapshot = newest()
    page = opened(ReplayedFeed([snapshot]))
    limits, each = snapshot["account_limits"], snapshot["symbols"][0]
    shown = {
        **{name: snapshot[name] for name in ("equity", "balance", "used_margin", "margin_level")},
        **{name: limits[name] for name in ("stop_out_loss", "stop_out_move_frac", "leverage")},
        **{f"EURUSD:{name}": each[name] for name in ("spread_bps", "liquidity_ratio", "obi", "ofi", "volatility_bps")},
        **{f"EURUSD:leverage_{name}": each[f"leverage_{name}"] for name in ("wanted", "goal", "target", "now")},
        **{f"position:{p['position_id']}:unrealised": p["unrealised"] for p in snapshot["positions"]},
        **{f"fill:{f['deal_id']}:realised_bps": f["realised_bps"] for f in snapshot["fills"]},
    }
    assert {place: _value(page, place) for place in shown} == shown
    assert page.locator("[data-testid='trading']").get_attribute("data-value") == "active"
    levels = page.locator("[data-testid^='level:']").count()
    assert levels == 20
    keep_picture(page, "desktop light en", full_page=True)
    page.locator("[data-testid='symbol:USDJPY']").click()
    page.locator("[data-testid='value:USDJPY:spread_bps']").wait_for()
    assert _value(page, "USDJPY:spread_bps") == snapshot["symbols"][1]["spread_bps"]
    _until(page, "document.querySelector('.heat-map canvas').getAttribute('aria-label').includes('USDJPY')")


@pytest.mark.parametrize("shade", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_phone_shows_it_without_scrolling_sideways(opened: Open, language: str, shade: str) -> None:
    page = opened(ReplayedFeed(resting_run(), place=30), PHONE, shade, language)
    assert _is_narrow_enough(page)
    assert page.evaluate("document.body.classList.contains('body--dark')") is (shade == "dark")
    assert page.evaluate("document.documentElement.lang") == language
    said = page.locator("[data-testid='why']").inner_text()
    assert ("戦略の目標" in said) == (language == "ja")
    keep_picture(page, f"phone {shade} {language}", full_page=True)
    page.locator("[data-testid='command:halt']").click()
    page.locator("[data-testid='confirmation:halt']").wait_for()
    assert _is_narrow_enough(page)


def test_the_language_and_the_shade_can_be_switched(opened: Open) -> None:
    page = opened(ReplayedFeed(paper_run(), place=30))
    page.locator("[data-testid='theme']").click()
    _until(page, "document.body.classList.contains('body--dark')")
    page.locator("[data-testid='symbol:USDJPY']").click()
    page.locator("[data-testid='value:USDJPY:spread_bps']").wait_for()
    page.get_by_role("link", name="日本語").click()
    _until(page, "document.documentElement.lang === 'ja'")
    page.locator("[data-testid='ready']").wait_for()
    assert "準備完了" in page.locator("[data-testid='ready']").inner_text()
    assert page.evaluate("document.body.classList.contains('body--dark')")
    page.locator("[data-testid='value:USDJPY:spread_bps']").wait_for()
    keep_picture(page, "desktop dark ja", full_page=True)
    moment = page.locator("[data-testid='age'] time")
    assert "UTC" in moment.inner_text() and re.search(r"GMT\+9|JST", moment.get_attribute("title"))


def test_halt_asks_first_and_is_given_once(opened: Open) -> None:
    feed = ReplayedFeed(paper_run(), place=30)
    page = opened(feed)
    page.locator("[data-testid='command:halt']").click()
    page.locator("[data-testid='confirmation:halt']").wait_for()
    page.locator("[data-testid='cancel']").click()
    page.locator("[data-testid='confirmation:halt']").wait_for(state="hidden")
    assert feed.commands == []
    page.locator("[data-testid='command:halt']").click()
    page.locator("[data-testid='reason']").fill("the news at two")
    page.locator("[data-testid='confirm']").dblclick()
    page.locator("[data-testid='outcome']").wait_for()
    assert feed.commands == [("halt", "the news at two")]
    assert "Done" in page.locator("[data-testid='outcome']").inner_text()


def test_flatten_lists_what_it_would_close(opened: Open) -> None:
    snapshot = newest(lambda s: s.update(environment="live", mode="trade"))
    snapshot["positions"].append(snapshot["positions"][0] | {"position_id": 7, "ours": False})
    feed = ReplayedFeed([snapshot])
    page = opened(feed)
    assert "LIVE: real money" in page.locator("[data-testid='environment']").inner_text()
    page.locator("[data-testid='command:flatten']").click()
    page.locator("[data-testid='confirmation:flatten']").wait_for()
    for position in snapshot["positions"]:
        count = page.locator(f"[data-testid='value:closes:{position['position_id']}']").count()
        assert count == (1 if position["ours"] else 0)
    keep_picture(page, "flatten live")
    page.keyboard.press("Escape")
    assert feed.commands == []


def test_old_values_are_marked_until_new_ones_come(opened: Open) -> None:
    feed = ReplayedFeed(paper_run(), place=30)
    page = opened(feed)
    assert not page.evaluate("document.body.classList.contains('is-old')")
    feed.received_s, feed.trouble = 7.0, "lost"
    _until(page, "document.body.classList.contains('is-old')")
    page.locator("[data-testid='trouble']").wait_for()
    assert page.locator(".ladder .old-tag").is_visible()
    assert page.locator("[data-testid='command:halt']").is_disabled()
    keep_picture(page, "connection lost")
    feed.received_s, feed.trouble = 0.1, None
    _until(page, "!document.body.classList.contains('is-old')")
    assert page.locator("[data-testid='trouble']").count() == 0


def test_the_page_says_by_itself_that_its_server_is_gone(opened: Open) -> None:
    page = opened(ReplayedFeed(paper_run(), place=30))
    # A suspended event loop stands for a process that hangs or is gone: no beat comes.
    page.evaluate("window.socket.io.engine.close(); window.socket.io.reconnection(false)")
    page.locator("[data-testid='page_lost']").wait_for()
    assert page.evaluate("document.body.classList.contains('is-old')")
    keep_picture(page, "server gone")


def _not_ready(snapshot: dict[str, Any]) -> None:
    snapshot.update(ready=False, reasons=["connecting"], texts=["connecting to the venue"], connected=False)


def _halted(snapshot: dict[str, Any]) -> None:
    cause = {
        "code": "daily_loss",
        "level": "halted",
        "text": "daily_loss is 2.10% of equity, the limit is 2.00%",
        "since": snapshot["time"],
        "until": None,
        "flattens": True,
        "by_limit": True,
    }
    snapshot.update(trading="halted", causes=[cause], reasons=["daily_loss"], texts=[cause["text"]])
    snapshot["account_limits"]["daily_loss_frac"] = 0.021


def _without_depth(snapshot: dict[str, Any]) -> None:
    for each in snapshot["symbols"]:
        each.update(is_spot_only=True, bids=[], asks=[], obi=None, ofi=None)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("not ready", _not_ready, "準備中"),
        ("halted by limit", _halted, "1日の損失が上限に達しました"),
        ("without depth", _without_depth, "板情報は配信されていません"),
        ("nothing known", lambda s: s.update(symbols=[], positions=[], fills=[], events=[], equity=None), "不明"),
    ],
)
def test_an_odd_state_is_shown_in_words(opened: Open, name: str, change: Any, said: str) -> None:
    page = opened(ReplayedFeed([newest(change)]), language="ja")
    assert said in page.locator("body").inner_text()
    keep_picture(page, f"state {name} ja")


def test_before_anything_is_known_the_page_says_what_it_waits_for(opened: Open) -> None:
    feed = ReplayedFeed([])
    feed.trouble, feed.received_s = "connecting", None
    page = opened(feed)
    assert "connecting to the bot" in page.locator("[data-testid='trouble']").inner_text()
    feed.snapshots = [newest()]
    feed.seek(0)
    feed.trouble, feed.received_s = None, 0.1
    page.locator("[data-testid='value:EURUSD:spread_bps']").wait_for()


def _recorded_at(feed: ReplayedFeed, place: int) -> str:
    return f"document.querySelector('[data-testid=recorded_time]').dataset.value === '{feed.snapshots[place]['time']}'"


def test_a_recording_is_scrubbed_and_played(opened: Open) -> None:
    feed = ReplayedFeed(paper_run(), kind="journal", place=30)
    page = opened(feed)
    assert page.locator("[data-testid='command:halt']").count() == 0
    moment = page.locator("[data-testid='recorded_time']")
    assert moment.get_attribute("data-value") == feed.snapshots[30]["time"]
    slider = page.locator("[data-testid='slider']")
    slider.click(position={"x": 1, "y": 15})
    _until(page, _recorded_at(feed, 0))
    assert feed.place == 0
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    _until(page, _recorded_at(feed, 2))
    slider.press("End")
    _until(page, _recorded_at(feed, len(feed.snapshots) - 1))
    slider.press("Home")
    _until(page, _recorded_at(feed, 0))
    assert page.evaluate("scrollY") == 0
    page.locator("[data-testid='play']").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert feed.playing
    keep_picture(page, "journal")


def test_the_map_is_drawn_and_goes_on(opened: Open) -> None:
    feed = ReplayedFeed(resting_run(), place=20)
    page = opened(feed)
    _until(page, "Number(document.querySelector('.heat-map canvas').dataset.columns) > 5")
    drawn = page.evaluate(
        "(() => { const c = document.querySelector('.heat-map canvas');"
        " const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let bid = 0, ask = 0;"
        " for (let i = 0; i < p.length; i += 4) { if (p[i + 2] > p[i] + 40) bid++; if (p[i] > p[i + 2] + 40) ask++; }"
        " return [bid, ask]; })()"
    )
    assert min(drawn) > 500
    before = page.evaluate("document.querySelector('.heat-map canvas').dataset.last")
    feed.step()
    _until(page, f"document.querySelector('.heat-map canvas').dataset.last !== '{before}'")


_COLUMN = """() => {
  const canvas = document.querySelector('.heat-map canvas'), hover = document.querySelector('.heat-hover');
  const pen = canvas.getContext('2d'), ratio = canvas.width / canvas.clientWidth, box = canvas.getBoundingClientRect();
  const x = canvas.clientWidth - 74 - 12, found = [];
  for (let y = 10; y < canvas.clientHeight - 24; y++) {
    const at = { clientX: box.x + x, clientY: box.y + y, bubbles: true, pointerType: 'touch' };
    canvas.dispatchEvent(new PointerEvent('pointerdown', at));
    const [, price, lots] = hover.textContent.match(/(?:bids|asks) ([\\d.]+): ([\\d.]+) lots/) ?? [];
    const pixel = [...pen.getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data];
    found.push([price ? Number(price) : null, lots ? Number(lots) : null, ...pixel]);
  }
  return found;
}"""


@pytest.mark.parametrize(("ratio", "shade"), [(1, "light"), (2, "dark")])
def test_the_map_shows_the_book_of_the_snapshot_and_more_where_there_is_more(
    opened: Open, ratio: int, shade: str
) -> None:
    taken = paper_run()
    for snapshot in taken[-10:]:  # the newest book, for long enough to be met anywhere near the edge
        snapshot["symbols"][0].update(bids=taken[-1]["symbols"][0]["bids"], asks=taken[-1]["symbols"][0]["asks"])
    page = opened(ReplayedFeed(taken, place=len(taken) - 1), shade=shade, ratio=ratio)
    _until(page, "Number(document.querySelector('.heat-map canvas').dataset.columns) > 5")
    each, seen = taken[-1]["symbols"][0], page.evaluate(_COLUMN)
    sizes = {round(price, 5): units / each["lot_units"] for price, units in each["bids"] + each["asks"]}
    told = {price: lots for price, lots, *_ in seen if price is not None}
    assert len(told) >= 16
    assert {price: pytest.approx(sizes[price], abs=0.06) for price in told} == told
    ground = [255, 255, 255] if shade == "light" else [16, 22, 28]
    for side in ("bids", "asks"):
        fuller = []
        for price in [price for price, _ in each[side] if price in told]:
            rows = [pixel for found, _, *pixel in seen if found == price]
            middle = rows[len(rows) // 2]
            fuller.append((sizes[price], sum(abs(middle[i] - ground[i]) for i in range(3))))
        shown = [strength for _, strength in sorted(fuller)]
        # The two lines of the best prices may cross a cell: as many as there are.
        assert sum(later < earlier for earlier, later in itertools.pairwise(shown)) <= 1, fuller
    keep_picture(page, f"map {shade} {ratio}")


def test_on_a_phone_on_its_side_the_commands_and_the_page_can_both_be_seen(opened: Open) -> None:
    page = opened(ReplayedFeed(paper_run(), place=30), {"width": 844, "height": 390})
    page.mouse.wheel(0, 600)
    _until(page, "scrollY > 300")
    halt = page.locator("[data-testid='command:halt']").bounding_box()
    assert halt is not None and 300 < halt["y"] < 390
    assert page.locator(".top").evaluate("e => e.getBoundingClientRect().bottom") < 0
    page.locator("[data-testid='command:halt']").press("Enter")
    page.get_by_role("dialog", name="Halt trading?").wait_for()
    keep_picture(page, "phone on its side")


def test_four_updates_a_second_are_kept_up_with(opened: Open) -> None:
    taken = resting_run(60)
    feed = ReplayedFeed(taken, place=30)
    page = opened(feed)
    page.evaluate(
        "(() => { window.seen = []; window.longest = 0; let last = performance.now();"
        " const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last);"
        " last = now; requestAnimationFrame(tick); }; requestAnimationFrame(tick);"
        " new MutationObserver(() => { const t = document.querySelector('[data-testid=age] time').dateTime;"
        " if (window.seen.at(-1) !== t) window.seen.push(t); })"
        ".observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true}); })()"
    )
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    feed.every_s = 0.25
    page.wait_for_timeout(20_000)
    feed.every_s = None
    shown = taken[feed.place]["time"]
    _until(page, f"document.querySelector('[data-testid=age] time').dateTime === '{shown}'")
    stepped, seen = feed.place - 30, page.evaluate("window.seen.length")
    grown_mb = (page.evaluate("performance.memory.usedJSHeapSize") - heap) / 1e6
    print(
        f"{stepped} snapshots, {seen} shown, longest frame {page.evaluate('window.longest'):.0f} ms, {grown_mb:.1f} MB"
    )
    assert stepped >= 60 and seen >= 0.8 * stepped
    assert grown_mb < 60
