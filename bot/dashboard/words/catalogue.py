"""The words of one language: labels by key, and the words for codes by group and code."""

from collections.abc import Mapping
from typing import Literal

from bot.dashboard import formats
from bot.dashboard.words import codes_en, codes_ja, labels_en, labels_ja

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")
LABELS: Mapping[str, Mapping[str, str]] = {"en": labels_en.LABELS, "ja": labels_ja.LABELS}
CODES: Mapping[str, Mapping[str, Mapping[str, str]]] = {"en": codes_en.CODES, "ja": codes_ja.CODES}


class Words:
    """The words of one language. Args: `language` one of `LANGUAGES`; any other is English."""

    def __init__(self, language: str) -> None:
        self.language: Language = "ja" if language == "ja" else "en"
        self._labels, self._codes = LABELS[self.language], CODES[self.language]

    def __call__(self, key: str, **fields: object) -> str:
        """Return a label or a sentence, filled in. Raises: KeyError for one that there is not."""
        return self._labels[key].format(**fields)

    def template(self, key: str) -> str:
        """Return a label as it stands, for what the browser fills in by itself."""
        return self._labels[key]

    def code(self, group: str, code: str | None, subject: str = "") -> str:
        """Return the words for a code; the code itself for one that is newer than this page, unknown for None."""
        if code is None:
            return self("unknown")
        return self._codes[group].get(code, code).replace("{0}", subject)

    def has(self, group: str, code: str) -> bool:
        """Return whether there are words for a code."""
        return code in self._codes[group]

    def span(self, span_s: float | None) -> str | None:
        """Return a span of time; None for None."""
        return formats.span(span_s, self._codes["span"])

    def listed(self, parts: list[str]) -> str:
        """Return parts of a sentence, one after another."""
        return ("、" if self.language == "ja" else ", ").join(parts)
