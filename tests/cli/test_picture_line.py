"""Lines of the live table: pieces stay whole, a label stands once, nothing is wider than it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.picture_line import cut, labelled, price, size, span, times, wrapped

WORDS = st.lists(st.text("abc", min_size=1, max_size=40), min_size=1, max_size=12)


@given(WORDS, st.integers(1, 120), st.none() | st.integers(1, 4))
def test_lines_are_never_wider_and_every_piece_is_shown_or_counted(
    words: list[str], width: int, most: int | None
) -> None:
    lines = [line.plain for line in labelled("label", [(each, "") for each in words], width, most)]
    assert max(map(len, lines)) <= width and (most is None or len(lines) <= most)
    if width >= 60:
        text = " ".join(line[10:] for line in lines)
        more = int(text.rpartition("+")[2].split()[0]) if "+" in text else 0
        assert len(text.split()) - (2 if more else 0) + more == len(words)


def test_pieces_stay_whole_and_the_label_stands_on_the_first_line() -> None:
    pieces = [("one thing", "bold"), ("another thing", ""), ("the third", "")]
    two = ["label     one thing  another thing", "          the third"]
    assert [line.plain for line in labelled("label", pieces, 36)] == two
    assert [line.plain for line in labelled("label", pieces, 36, 1)] == ["label     one thing  +2 more"]
    assert labelled("label", [], 36) == []


def test_a_sentence_that_does_not_fit_ends_in_an_ellipsis() -> None:
    assert [line.plain for line in wrapped("one two three four", 9, "")] == ["one two …"]
    assert [line.plain for line in wrapped("one two", 9, "", most=2)] == ["one two"]
    assert cut("a long name", 6) == "a lon…" and cut("name", 4) == "name"


@pytest.mark.parametrize(
    ("units", "shown"),
    [(None, "-"), (999.0, "999"), (1_234.0, "1.23k"), (15_385_913.0, "15.4M"), (2.5e9, "2.50G"), (1.5, "1.50")],
)
def test_a_volume_has_three_figures(units: float | None, shown: str) -> None:
    assert size(units) == shown


def test_numbers_carry_their_unit_and_no_minus_zero() -> None:
    assert [times(x) for x in (None, 0.0, -0.0, -1.236)] == ["-", "+0.00x", "+0.00x", "-1.24x"]
    assert [span(s) for s in (0.4, 59.9, 61, 3725)] == ["0 s", "59 s", "1 min 1 s", "1 h 2 min"]


def test_a_price_has_the_digits_of_its_symbol() -> None:
    state = {"symbols": [{"symbol": "USDJPY", "digits": 3}]}
    assert price(149.98, "USDJPY", state) == "149.980" and price(41234.56, "BTCUSD", state) == "41234.56"
