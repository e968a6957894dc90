"""Which language a browser is shown."""

from collections.abc import Sequence

LANGUAGES = ("en", "ja")
COOKIE = "microlev-language"


def language_of(asked: str | None, kept: str | None, preferred: str | None, accepted: str) -> str:
    """Return `en` or `ja`: what the address asks for, what this browser had, what the dashboard was started with, or
    the first of the browser's own languages that there is.

    Args: `accepted` is the header Accept-Language.
    """
    for choice in (asked, kept, preferred, *_by_quality(accepted)):
        if choice in LANGUAGES:
            return choice
    return LANGUAGES[0]


def _by_quality(accepted: str) -> Sequence[str]:
    """Source: RFC 9110, 12.5.4: language ranges with a quality of 0 to 1, which is 1 where none is given."""
    ranked: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        name, _, rest = part.strip().partition(";")
        try:
            quality = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            ranked.append((quality, name.partition("-")[0].lower()))
    return [name for _, name in sorted(ranked, key=lambda each: -each[0])]
