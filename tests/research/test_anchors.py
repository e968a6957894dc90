"""The anchors come out of the recordings within their tolerance, and the table that states them is sound."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from recordings import BOOK, recording

from bot.research.anchors import ANCHORS, GROUPS, Anchor

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "anchors.md"


@cache
def _figures(group: str, folder: Path) -> Mapping[str, float]:
    return GROUPS[group](folder)


def _case(anchor: Anchor) -> object:
    marks = [pytest.mark.xfail(reason=anchor.departs, raises=AssertionError)] if anchor.departs else []
    return pytest.param(anchor, id=anchor.name, marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize("anchor", [_case(anchor) for anchor in ANCHORS])
def test_an_anchor_comes_out_within_its_tolerance(anchor: Anchor) -> None:
    figure = _figures(anchor.group, recording(BOOK).parent)[anchor.figure]
    assert anchor.is_met(figure), f"{figure:.4f} instead of {anchor.expected} ± {anchor.tolerance}"


def test_every_anchor_has_its_own_name_and_a_group_that_is_measured() -> None:
    assert [name for name, count in Counter(anchor.name for anchor in ANCHORS).items() if count > 1] == []
    assert {anchor.group for anchor in ANCHORS} == set(GROUPS)


def test_no_figure_may_be_further_off_than_the_study_allows() -> None:
    for anchor in ANCHORS:
        assert 0 < anchor.tolerance <= (0.05 if "bps" in anchor.figure else 0.02), anchor.name


@pytest.mark.parametrize(("measured", "met"), [(0.52, True), (0.4799, False), (0.5201, False), (float("nan"), False)])
def test_an_anchor_is_met_within_its_tolerance_and_never_by_an_unknown(measured: float, met: bool) -> None:
    assert Anchor("some market", "some R2", 0.5, 0.0200001).is_met(measured) is met


def test_the_document_shows_every_anchor_with_what_is_expected_of_it() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    shown = {tuple(cell.strip() for cell in row.split("|")[1:5]) for row in rows}
    missing = [
        anchor.name
        for anchor in ANCHORS
        if (anchor.group, anchor.figure, f"{anchor.expected:g}", f"{anchor.tolerance:g}") not in shown
    ]
    assert missing == [], "make the table anew: python scripts/anchors --write docs/anchors.md"
