"""The look of the page: texts can be read in light and in dark, and nothing is fetched from elsewhere."""

import re
from itertools import product
from pathlib import Path

import pytest

import bot.dashboard
from bot.dashboard.style import SHEET

FOLDER = Path(bot.dashboard.__file__).parent
SHADES = {"light": "body", "dark": "body.body--dark"}


def _colours(selector: str) -> dict[str, str]:
    block = re.search(rf"^{re.escape(selector)} {{(.*?)^}}", SHEET, re.MULTILINE | re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block[1]))


def _luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("shade", SHADES)
def test_every_text_can_be_read_on_every_ground(shade: str) -> None:
    colours = _colours(SHADES[shade])
    texts, grounds = ("ink", "muted", "bid", "ask", "good", "waits", "bad"), ("panel", "ground", "soft")
    pairs = [*product(texts, grounds), ("ink", "bid-soft"), ("ink", "ask-soft"), ("bid", "bid-soft")]
    pairs += [("ask", "ask-soft"), ("bad", "bad-soft"), ("on-accent", "accent")]
    faint = {pair: ratio for pair in pairs if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5}
    assert faint == {}


@pytest.mark.parametrize("shade", SHADES)
def test_the_two_sides_of_a_book_differ_in_hue_for_every_kind_of_eye(shade: str) -> None:
    colours = _colours(SHADES[shade])
    for name in ("bid", "ask"):
        red, _, blue = (int(colours[name][i : i + 2], 16) for i in (1, 3, 5))
        assert (blue > red) == (name == "bid")


def test_white_on_the_colour_of_danger_can_be_read() -> None:
    assert _contrast("#ffffff", "#b3261e") >= 4.5


def test_both_shades_name_the_same_colours() -> None:
    assert _colours("body").keys() == _colours("body.body--dark").keys()


def test_nothing_comes_from_elsewhere() -> None:
    for path in [*FOLDER.rglob("*.css"), *FOLDER.rglob("*.js")]:
        assert not re.search(r"https?:|@import|url\(|//[a-z]+\.", path.read_text(encoding="utf-8")), path.name


def test_a_narrow_screen_and_one_that_wants_no_motion_have_rules_of_their_own() -> None:
    assert "@media (max-width: 820px)" in SHEET and "prefers-reduced-motion" in SHEET
