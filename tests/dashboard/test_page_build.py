"""The page puts the panels together: what it shows follows the feed, and what a visitor does reaches it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nicegui import background_tasks

from bot.dashboard.heat_map import HeatMap
from bot.dashboard.page import Page, build_page
from bot.dashboard.panels import heat
from bot.dashboard.tree import found, text_of
from tests.page_clients import client
from tests.page_snapshots import newest, paper_run, resting_run, scene_of
from tests.replayed_feed import ReplayedFeed


@pytest.fixture
def feed() -> ReplayedFeed:
    return ReplayedFeed(paper_run(), place=20)


@pytest.fixture
def page(feed: ReplayedFeed) -> Iterator[Page]:
    with client():
        made = Page(feed, "en")
        made.look()
        yield made


def _said(page: Page) -> str:
    return " ".join(text_of(tree.shown) for tree, _ in page._panels)


def test_the_page_follows_its_feed(page: Page, feed: ReplayedFeed) -> None:
    before = _said(page)
    feed.step()
    page.look()
    assert _said(page) != before
    beat = page._pulse._props["beat"]
    page.look()
    assert page._pulse._props["beat"] == beat + 1 and page._pulse._props["old"] is False
    feed.trouble = "lost"
    page.look()
    assert page._pulse._props["old"] is True and "connection to the bot is lost" in _said(page)


def test_an_act_chooses_a_symbol_and_a_kind_of_events(page: Page) -> None:
    page.act("symbol:USDJPY")
    assert "Why this size: USDJPY" in _said(page)
    page.act("events:state")
    assert page.scene().events_shown == "state"


def test_a_page_that_is_loaded_anew_shows_the_symbol_that_its_tab_showed(page: Page) -> None:
    assert page._pulse._props["symbol"] is None
    page._keep("USDJPY")
    assert "Why this size: USDJPY" in _said(page) and page._pulse._props["symbol"] == "USDJPY"
    page.act("symbol:EURUSD")
    page._keep("USDJPY")  # the visitor was quicker
    assert "Why this size: EURUSD" in _said(page)


def test_a_tab_that_remembers_another_run_shows_the_first_symbol(page: Page) -> None:
    page._keep("NOSUCH")
    assert "Why this size: EURUSD" in _said(page)


@pytest.mark.parametrize(
    "act", ["symbol:NOSUCH", "events:nosuch", "ask:shutdown", "ask:", "", "nosuch:x", "play:on", "speed:5", "speed:x"]
)
def test_an_act_that_makes_no_sense_does_nothing(page: Page, feed: ReplayedFeed, act: str) -> None:
    before = _said(page)
    page.act(act)
    assert _said(page) == before and not feed.playing and feed.speed == 1.0
    assert not page.dialog.dialog.value and feed.commands == []


def test_the_server_builds_a_page_that_looks_by_itself(feed: ReplayedFeed) -> None:
    waiting = background_tasks._deferred_awaitables
    before = len(waiting)
    with client():
        assert "準備" in _said(build_page(feed, "ja"))
    assert len(waiting) > before
    for coroutine in waiting[before:]:
        coroutine.close()  # type: ignore[attr-defined]
    del waiting[before:]


# What a bot of another version, or something that only says it is a bot, may send.
_WRONG: list[Callable[[dict[str, Any]], Any]] = [
    lambda s: s.update(symbols=[{}]),
    lambda s: s.update(symbols=7),
    lambda s: s["symbols"][0].update(symbol=[]),
    lambda s: s["symbols"][0].update(factors="x", mid="1.1"),
    lambda s: s["symbols"][0].update(bids=[["a", "b"]]),
    lambda s: s.update(positions=[{}]),
    lambda s: s.update(positions="none"),
    lambda s: s.update(orders=[{}]),
    lambda s: s.update(fills=[{}]),
    lambda s: s.update(events=[1]),
    lambda s: s.update(equity="a lot"),
    lambda s: s.update(equity={}),
    lambda s: s.update(trading=[]),
    lambda s: s.update(causes=[{}]),
    lambda s: s.update(reasons=5),
    lambda s: s.update(time=7),
    lambda s: s.update(time=None),
    lambda s: s.update(mode={}),
    lambda s: s.update(account_limits=[]),
]


@pytest.mark.parametrize("wrong", range(len(_WRONG)))
def test_a_snapshot_that_cannot_be_shown_ends_no_page_and_the_next_one_is_shown(
    page: Page, feed: ReplayedFeed, wrong: int
) -> None:
    good = feed.snapshot
    before = text_of(page._panels[3][0].shown)
    feed.snapshot = newest(_WRONG[wrong])
    for _ in range(3):
        page.look()
        page.act("symbol:USDJPY")
        page.act("symbol:EURUSD")
        page.act("ask:flatten")
        page.dialog.close()
    assert "cannot be understood" in _said(page) and page._pulse._props["old"] is True
    assert text_of(page._panels[3][0].shown).replace(" (old values)", "")[-200:] == before[-200:]
    (halt,) = found(page._panels[0][0].shown, data_testid="command:halt")
    (flatten,) = found(page._panels[0][0].shown, data_testid="command:flatten")
    assert "disabled" not in halt[1] and "disabled" in flatten[1]
    feed.snapshot = dict(good or {})
    page.look()
    assert page.scene().trouble is None and "cannot be understood" not in _said(page)


@pytest.mark.parametrize("wrong", range(len(_WRONG)))
def test_a_page_that_begins_with_a_snapshot_that_cannot_be_shown_is_there(feed: ReplayedFeed, wrong: int) -> None:
    feed.snapshot = newest(_WRONG[wrong])
    with client():
        page = Page(feed, "en")
        page.look()
        page.act("ask:halt")
        assert page.dialog.dialog.value and "Account" in _said(page)


# -- commands -------------------------------------------------------------------------------------------------------


def test_a_command_is_asked_about_first_and_given_once(page: Page, feed: ReplayedFeed) -> None:
    dialog = page.dialog
    page.act("ask:flatten")
    assert dialog.dialog.value and feed.commands == []
    assert "Close everything of ours?" in text_of(dialog.question.shown)
    dialog.reason.value = "x" * 300
    asyncio.run(_twice(dialog))
    assert feed.commands == [("flatten", "x" * 200)]
    assert text_of(dialog.result.shown) == "Done: Trading: halted" and not dialog.confirm.visible
    dialog.close()
    asyncio.run(dialog.send())
    assert len(feed.commands) == 1 and not dialog.dialog.value


async def _twice(dialog: Any) -> None:
    await asyncio.gather(dialog.send(), dialog.send())


def test_a_question_that_is_left_gives_no_command_and_the_next_is_a_new_one(page: Page, feed: ReplayedFeed) -> None:
    page.act("ask:halt")
    page.dialog.close()
    asyncio.run(page.dialog.send())
    assert feed.commands == []
    feed.answer = (False, "unreachable")
    page.act("ask:resume")
    assert not page.dialog.reason.visible
    asyncio.run(page.dialog.send())
    assert feed.commands == [("resume", "")] and "nothing was sent" in text_of(page.dialog.result.shown)


def test_an_open_question_follows_what_is_held(page: Page, feed: ReplayedFeed) -> None:
    feed.snapshot = newest()
    page.act("ask:flatten")
    before = text_of(page.dialog.question.shown)
    feed.snapshot = newest(lambda s: s.update(positions=[]))
    page.look()
    assert text_of(page.dialog.question.shown) != before


def test_a_question_that_was_left_by_escape_asks_nothing_any_more(page: Page, feed: ReplayedFeed) -> None:
    feed.snapshot = newest()
    page.act("ask:flatten")
    page.dialog.dialog.value = False  # as the browser says
    before = text_of(page.dialog.question.shown)
    feed.snapshot = newest(lambda s: s.update(positions=[]))
    page.look()
    assert text_of(page.dialog.question.shown) == before
    asyncio.run(page.dialog.send())
    assert feed.commands == []


def test_a_reader_hears_which_question_is_open(page: Page) -> None:
    for command, name in (("halt", "Halt trading?"), ("flatten", "Close everything of ours?")):
        page.act(f"ask:{command}")
        assert page.dialog.dialog.props["aria-label"] == name


def test_an_answer_that_comes_after_its_question_was_left_is_told_apart(
    page: Page, feed: ReplayedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("nicegui.ui.notify", lambda text, **_: told.append(text))
    feed.answer = (False, "no_answer")

    async def left(leave: Callable[[], Any]) -> None:
        page.act("ask:halt")
        answered = asyncio.Event()

        async def command(name: str, reason: str) -> tuple[bool, str]:
            await answered.wait()
            return feed.answer

        feed.command = command  # type: ignore[assignment]
        sending = asyncio.create_task(page.dialog.send())
        await asyncio.sleep(0)
        leave()
        answered.set()
        await sending

    said = "Halt: Not known whether it was done: the bot has not answered: it may have done it or not"
    for leave in (page.dialog.close, lambda: page.act("ask:flatten"), lambda: page.dialog.dialog.set_value(False)):
        told.clear()
        asyncio.run(left(leave))
        assert len(told) == 1 and told[0].startswith(said)
        assert "answered" not in text_of(page.dialog.result.shown)
    assert page.dialog.cancel.text == "Cancel"


# -- a recording ----------------------------------------------------------------------------------------------------


def test_a_recording_is_played_sought_and_cannot_be_steered() -> None:
    feed = ReplayedFeed(paper_run(), kind="journal", place=5)
    with client():
        page = Page(feed, "en")
        page.look()
        slider = page._slider
        assert slider is not None and slider.value == 5 and slider.props["max"] == len(feed.times_ns) - 1
        page.act("play:on")
        assert feed.playing
        page.act("speed:10")
        assert feed.speed == 10
        page.act("speed:7")
        assert feed.speed == 10
        slider.value = 12
        assert feed.place == 12
        feed.step()
        page.look()
        assert slider.value == 13 and feed.place == 13
        page.act("ask:halt")
        assert not page.dialog.dialog.value
        assert found(page._panels[0][0].shown, data_testid="command:halt") == []
        page._slid(None)
        assert feed.place == 13


# -- the heat map ---------------------------------------------------------------------------------------------------


class SentMap(HeatMap):
    """Keeps what would be sent to the browser."""

    def run_method(self, name: str, *args: Any, timeout: float = 1) -> Any:
        sent.append((name, args))


sent: list[tuple[str, tuple[Any, ...]]] = []


def test_the_map_is_sent_whole_once_and_then_what_is_new() -> None:
    sent.clear()
    feed = ReplayedFeed(resting_run(), place=20)
    with client():
        page = Page(feed, "en")
        shown = SentMap(lambda: None)
        shown.show(page.scene())
        assert sent == []  # nobody can draw yet
        shown._start(lambda: shown.show(page.scene()))
        assert [name for name, _ in sent] == ["reset"] and len(sent[0][1][1]) == feed.trail.count("EURUSD")
        feed.step()
        shown.show(page.scene())
        shown.show(page.scene())
        assert [name for name, _ in sent] == ["reset", "add"] and len(sent[1][1][0]) == 1
        page.act("symbol:USDJPY")
        shown.show(page.scene())
        assert sent[-1][0] == "reset" and sent[-1][1][0]["symbol"] == "USDJPY"
        feed.seek(3)
        shown.show(page.scene())
        assert sent[-1][0] == "reset"


def test_a_column_of_the_map_is_the_book_in_whole_digits_and_lots() -> None:
    snapshot = resting_run()[-1]
    scene, each = scene_of(snapshot), snapshot["symbols"][0]
    time_ms, bid, ask, bids, asks, resting = heat.columns(scene, "EURUSD")[-1]
    assert (bid, ask) == (round(each["bid"] * 1e5), round(each["ask"] * 1e5))
    assert bids[:2] == [round(each["bids"][0][0] * 1e5), round(each["bids"][0][1] / 1e5, 3)]
    assert len(asks) == 2 * len(each["asks"]) and time_ms == scene.trail.moments("EURUSD")[-1].time_ms
    assert resting and resting[0] in (1, -1) and abs(resting[1] - bid) < 1000
    assert heat.columns(scene, "NOSUCH") == heat.marks(scene, "NOSUCH") == []


def test_a_tiny_size_is_not_nothing_on_the_map() -> None:
    snapshot = newest(lambda s: s["symbols"][0].update(lot_units=1.0, bids=[[1.1, 0.0001], [1.0, 12.34567]]))
    assert heat.columns(scene_of(snapshot), "EURUSD")[-1][3] == [110000, 0.0001, 100000, 12.346]


def test_marks_are_the_fills_of_the_symbol() -> None:
    snapshot = newest()
    fill = next(fill for fill in snapshot["fills"] if fill["symbol"] == "EURUSD")
    mark = heat.marks(scene_of(snapshot), "EURUSD")[0]
    assert mark[0] == str(fill["deal_id"]) and mark[2:] == [1, round(fill["price"] * 1e5, 1), 0.01]


def test_without_symbols_the_map_says_so() -> None:
    assert "No symbols" in text_of(heat.title(scene_of(None)))
