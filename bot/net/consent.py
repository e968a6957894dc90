"""What comes back from the page where consent is given: is it the answer to our question, and what does it say?

How it works: each login makes one random `state` and sends it along; only an answer that carries it back is ours, else
a stranger's page could hand us the code of a stranger's account. It is compared in constant time and serves once. The
answer comes by a redirect to our own port, or as the address of the page the browser ended on, pasted by a person.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

_LONGEST_SAID = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `text` is for a person and holds no secret; `code` is there for `granted` alone.

    `kind`: `granted`; `denied` (the person or the server said no); `foreign` (not the answer to our question: keep
    waiting).
    """

    kind: Literal["granted", "denied", "foreign"]
    text: str
    code: str = field(default="", repr=False)


class Consent:
    """One question to a person, open until its answer came.

    Args: `allow_missing_state` takes an answer that carries no state at all; one with a wrong state is never taken.
    """

    def __init__(self, state: str, *, allow_missing_state: bool = False) -> None:
        self._state = state.encode()
        self._allow_missing_state = allow_missing_state
        self.is_answered = False

    def hear(self, query: Mapping[str, Sequence[str]]) -> Reply:
        """Take the query of a redirect."""
        if self.is_answered:
            return Reply("foreign", "this login has been answered already")
        given = query.get("state", ())
        if not given and not self._allow_missing_state:
            return Reply("foreign", "the answer carries no state, so it cannot be told whose it is")
        # Every part is compared, in the same time wherever they differ.
        if given and (len(given) != 1 or not hmac.compare_digest(given[0].encode("utf-8", "replace"), self._state)):
            return Reply("foreign", "the answer belongs to another login (its state is not ours)")
        errors, codes = query.get("error", ()), query.get("code", ())
        if errors:
            self.is_answered = True
            words = [_plain(said) for said in (errors[0], *query.get("error_description", ())[:1])]
            return Reply("denied", f"access was not granted: {': '.join(word for word in words if word)}")
        if len(codes) != 1 or not codes[0]:
            return Reply("foreign", "the answer carries no code")
        self.is_answered = True
        return Reply("granted", "access was granted", codes[0])

    def hear_pasted(self, line: str) -> Reply | None:
        """Take a line that a person typed or pasted: the whole address the browser ended on. None for an empty one."""
        line = line.strip().strip("\"'<>")
        if not line:
            return None
        try:
            query = urlsplit(line).query
        except ValueError:
            query = ""
        if "=" not in query:
            return Reply(
                "foreign",
                "that is no address with an answer in it; paste the whole address of the page the browser ended on, "
                "from http to the end (a code alone is not enough: nothing would show that it belongs to this login)",
            )
        return self.hear(parse_qs(query, keep_blank_values=True, max_num_fields=50))


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_LONGEST_SAID]
