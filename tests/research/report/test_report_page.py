"""The page is one file that loads nothing, says what was found, and takes no name for markup."""

import base64
import json
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import made_up_findings as made_up
import numpy as np
import pytest

from bot.research.report import plotly_drawing
from bot.research.report.depth_map import DepthMap
from bot.research.report.page import check_libraries, write_report

LIBRARY = "/* the library, which is fetched from nowhere: http://www.w3.org/2000/svg */"


class _Page(HTMLParser):
    """The elements of a page, the text of its scripts, and every attribute that makes a browser load something."""

    LOADING = ("src", "href", "srcset", "action", "poster", "background", "formaction", "xlink:href")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.styles = ""
        self._open = ("", "")
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        self.loads += [f"{tag} {key}={found[key]}" for key in self.LOADING if key in found]
        self._open = (tag, found.get("id") or str(len(self.elements)))

    def handle_data(self, data: str) -> None:
        if self._open[0] == "script":
            self.scripts[self._open[1]] = self.scripts.get(self._open[1], "") + data
        if self._open[0] == "style":
            self.styles += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ("", "")


def _draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Spare the tests the library's text, and pictures: `test_drawings` has those."""
    patch.setattr(plotly_drawing, "library", lambda: LIBRARY)
    patch.setattr("bot.research.report.png_drawing.png", lambda figure: figure.name.encode())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report")
    depth = DepthMap(
        made_up.SYMBOL, made_up.LABEL, made_up.MONDAY_NS + 1_000_000_000 * np.arange(3), np.array([-1.0, 1.0]),
        np.array([[1e5, np.nan, 1e4], [1e5, 0.0, 1e4]]), np.array([-0.5, np.nan, -0.6]), np.array([0.5, np.nan, 0.6]),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        _draw_nothing(patch)
        runs = [made_up.result(), made_up.result("const<i>ant")]
        return write_report(folder / "found.html", made_up.comparison(), runs, [depth])


@pytest.fixture(scope="module")
def text(written: list[Path]) -> str:
    return written[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> _Page:
    return _Page(text)


def test_nothing_is_loaded_from_anywhere(page: _Page) -> None:
    assert page.loads == []
    assert not re.search(r"@import|url\(", page.styles)
    own = [script for script in page.scripts.values() if script != LIBRARY]
    assert not [script for script in own if re.search(r"https?:|[\"']//|fetch\(|XMLHttp|import\(", script)]


def test_a_browser_is_told_to_load_nothing(page: _Page) -> None:
    (policy,) = [found for tag, found in page.elements if tag == "meta" and "http-equiv" in found]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert str(policy["content"]).startswith("default-src 'none';")
    assert "http" not in str(policy["content"])


def test_the_library_stands_in_the_page_once(text: str) -> None:
    assert text.count(LIBRARY) == 1


def _decoded(array: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), f"<{array['dtype']}")


def test_every_figure_has_data_and_words_for_those_who_cannot_see_it(page: _Page, written: list[Path]) -> None:
    plots = [found for tag, found in page.elements if found.get("class") == "plot"]
    assert len(plots) == len(written) - 1 > 8
    for plot in plots:
        assert plot["role"] == "img"
        assert len(str(plot["aria-label"])) > 30
        spec = json.loads(page.scripts[f"{plot['id']}-data"])
        assert spec["data"], plot["aria-label"]
        for trace in spec["data"]:
            assert len(_decoded(trace["x"])) == len(_decoded(trace["y"])) or trace["type"] == "heatmap"
            assert np.isfinite(_decoded(trace["z" if trace["type"] == "heatmap" else "x"])).any()


def test_a_name_is_never_markup(text: str, page: _Page) -> None:
    assert made_up.SYMBOL not in text
    assert "EUR&lt;script&gt;$USD$" in text
    figures = {name: json.loads(script) for name, script in page.scripts.items() if name.endswith("-data")}
    assert not [name for name in figures if "<" in page.scripts[name]]
    words = json.dumps(figures)
    assert "EUR<script>" not in words
    assert "const&lt;i&gt;ant" in words
    assert "<i>" not in words


def test_the_tables_have_scopes_and_captions(page: _Page) -> None:
    heads = [found for tag, found in page.elements if tag == "th"]
    assert {found.get("scope") for found in heads} == {"col", "row"}
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table") >= 4


def test_what_was_run_and_found_is_said_in_words(text: str) -> None:
    plain = re.sub(r"<[^>]*>", " ", text)
    for said in (
        "Semi-synthetic depth: EUR&lt;script&gt;$USD$",
        "net Sharpe ratio",
        "variants tried for it, all told",
        "2014-05-05 00:00 UTC",
        "promises nothing",
        "Does it earn as much for its risk?",
        "composite fails: (a) passed, (b) undecided, (c) undecided, (d) failed",
        "resizing EURUSD costs 3.00 (2.00 to 4.00) bps of equity a day: none of it below 1",
        "+33 ●",
        "Unknown intervals: 3 blocks of 1 window, and fewer than 10 say nothing.",
    ):
        assert said in plain, said
    assert "+0.25 ●" not in plain


def test_each_figure_has_a_picture_beside_the_page(written: list[Path]) -> None:
    page, *pictures = written
    assert {path.parent for path in pictures} == {page.with_name("found_files")}
    assert [path.name[:2] for path in pictures] == [f"{i:02d}" for i in range(1, len(pictures) + 1)]
    assert any(path.name.endswith("-depth-eur-script-usd-00-00-00.png") for path in pictures)
    assert len({path.read_bytes() for path in pictures}) == len(pictures)
    assert sorted(page.parent.iterdir()) == [page, page.with_name("found_files")]


def test_a_page_that_is_there_is_kept_unless_it_may_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _draw_nothing(monkeypatch)
    out, mine = tmp_path / "out.html", tmp_path / "out_files" / "mine.png"
    out.write_text("precious")
    with pytest.raises(ValueError, match=r"out\.html is there already.*--force"):
        write_report(out, None, [made_up.result()])
    assert out.read_text() == "precious"
    mine.parent.mkdir()
    mine.write_text("mine")
    old = mine.with_name("99-of-an-older-report.png")
    old.write_text("old")
    written = write_report(out, None, [made_up.result()], force=True)
    assert "promises nothing" in out.read_text(encoding="utf-8")
    assert mine.read_text() == "mine"
    assert not old.exists()
    assert all(path.exists() for path in written)


def test_a_report_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _draw_nothing(monkeypatch)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(tmp_path / "out.html", None, [made_up.result()])
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_without_runs_takes_those_that_it_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _draw_nothing(monkeypatch)
    found = made_up.comparison()
    made_up.result("matched-trend-composite").save(tmp_path / "a.npz")
    files = (tmp_path / "a.npz", tmp_path / "gone.npz")
    arms = tuple(replace(arm, result=file) for arm, file in zip(found.arms, files, strict=True))
    written = write_report(tmp_path / "out.html", replace(found, arms=arms, remarks=("odd",)), [])
    assert any(path.name.endswith("-equity.png") for path in written)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "Equity of composite over time" in text
    assert "Note: odd." in text
    first_ns = found.calibration_until_ns
    (drawn,) = [each for each in _Page(text).scripts.values() if "(deposit currency)" in each]
    assert _decoded(json.loads(drawn)["data"][0]["x"])[0] * 1e6 == first_ns


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_a_library_that_is_not_there_is_found_out_beforehand(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", type(sys)("matplotlib"))  # it takes its time to come up
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=library):
        check_libraries()


def test_a_run_without_rows_is_nothing_to_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _draw_nothing(monkeypatch)
    with pytest.raises(ValueError, match="nothing to report"):
        write_report(tmp_path / "out.html", None, [_empty()])


def _empty() -> Any:
    whole = made_up.result()
    return type(whole)(whole.name, whole.symbols, whole.labels, (), 1.0, whole.clocks[:0], whole.fills[:0], {}, {})


@pytest.mark.slow
def test_plotly_takes_every_figure_as_valid(page: _Page) -> None:
    import plotly.graph_objects as go

    for name, script in page.scripts.items():
        if name.endswith("-data"):
            spec = json.loads(script)
            go.Figure({"data": spec["data"], "layout": spec["layout"]})


@pytest.mark.slow
def test_the_library_is_whole_and_can_stand_in_a_script() -> None:
    library = plotly_drawing.library()
    assert 1e6 < len(library) < 6e6
    assert "</script" not in library.lower()
