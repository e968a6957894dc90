"""What a one-off conversation may end with instead of a result, and the exit code that follows from it.

Exception
├── EnquiryRefused    one request got an error, or no answer; a script may catch it and go on
└── EnquiryFailed     the conversation is over: an exit code of the contract and one line for a person
"""

from bot.ctrader.errors import Reaction, fatal_text, rule_for

TIMEOUT, DISCONNECTED = "TIMEOUT", "DISCONNECTED"
"""Codes of our own: the venue never sends them."""

EXIT_USAGE, EXIT_NOT_AUTHORISED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 2, 3, 4, 130


class EnquiryRefused(Exception):
    """The venue refused a request, or did not answer it. `code` is the venue's, or `TIMEOUT`, or `DISCONNECTED`.

    `retry_after_s` is how long the venue blocks this kind of request; None when it did not say.
    Source: ProtoOAErrorRes, ProtoErrorRes, ProtoOAOrderErrorEvent.
    """

    def __init__(
        self, code: str, description: str = "", request_name: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{request_name or 'a request'}: {code}{': ' if description else ''}{description}")
        self.code = code
        self.description = description
        self.request_name = request_name
        self.retry_after_s = retry_after_s

    @property
    def is_done_already(self) -> bool:
        """Whether what was asked for is there already: an open session, a subscription that exists."""
        return rule_for(self.code, self.description).reaction is Reaction.SUCCESS


class EnquiryFailed(Exception):
    """The conversation is over without its result. Exit codes: 3 not authorised, 4 unreachable or untrusted, 130.

    `is_drop`: the link was lost or silent, so that a new one may do.
    """

    def __init__(self, exit_code: int, text: str, *, is_drop: bool = False) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.text = text
        self.is_drop = is_drop


def failure_of(refused: EnquiryRefused) -> EnquiryFailed:
    """Return how a command ends on a refusal that its script did not deal with."""
    if refused.code in (TIMEOUT, DISCONNECTED):
        return EnquiryFailed(EXIT_UNREACHABLE, f"{refused.description} ({refused.request_name})", is_drop=True)
    rule = rule_for(refused.code, refused.description)
    if rule.reaction in (Reaction.FATAL, Reaction.AUTHENTICATE):
        return EnquiryFailed(EXIT_NOT_AUTHORISED, fatal_text(refused.code, refused.description))
    said = f"{refused.code}: {refused.description}" if refused.description else refused.code
    return EnquiryFailed(EXIT_UNREACHABLE, f"the venue refused {refused.request_name}: {rule.meaning} ({said})")
