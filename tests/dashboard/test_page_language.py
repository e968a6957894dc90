"""Which language the page is in: what was asked for last, then what the dashboard was told, then the browser's own."""

import pytest

from bot.dashboard.language import language_of


@pytest.mark.parametrize(
    ("asked", "kept", "preferred", "accepted", "language"),
    [
        (None, None, None, "", "en"),
        (None, None, None, "ja", "ja"),
        (None, None, None, "ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        (None, None, None, "en;q=0.5, JA;q=0.9", "ja"),
        (None, None, None, "de,fr;q=0.9", "en"),
        (None, None, None, "ja;q=0,en", "en"),
        (None, None, None, "ja;q=nonsense,en;q=0.1", "en"),
        (None, None, "en", "ja", "en"),
        (None, "ja", "en", "en", "ja"),
        ("en", "ja", "ja", "ja", "en"),
        ("tlh", "x", None, "ja", "ja"),
    ],
)
def test_the_nearest_wish_that_there_is_wins(
    asked: str | None, kept: str | None, preferred: str | None, accepted: str, language: str
) -> None:
    assert language_of(asked, kept, preferred, accepted) == language
