"""HTML from calls: whatever is not markup already is escaped, so that no name of a symbol or an arm can become any."""

import html


class Html(str):
    """Text that is markup."""

    __slots__ = ()


_EMPTY = ("meta", "br", "img")


def tag(name: str, /, *content: str, **attributes: str | bool | None) -> Html:
    """Return an element. `class_` is the attribute class, `data_x` data-x; None and False leave an attribute out."""
    words = [name]
    for key, wanted in attributes.items():
        if wanted is None or wanted is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if wanted is True else f'{key}="{html.escape(str(wanted))}"')
    begin = f"<{' '.join(words)}>"
    return Html(begin if name in _EMPTY else f"{begin}{joined(*content)}</{name}>")


def joined(*content: str) -> Html:
    """Return pieces one after the other, those that are not markup escaped."""
    return Html("".join(each if isinstance(each, Html) else html.escape(each) for each in content))
