"""What a person should know of and that is no order: lines on standard error, in every mode."""

import sys

from bot.engine.decision import Decision
from bot.telemetry.plain import iso_time


class NoticeLines:
    """Writes each Decision's notices. Args: `account` begins the lines where several runs share the output."""

    def __init__(self, account: int | None) -> None:
        self._prefix = "" if account is None else f"account {account}: "

    def __call__(self, decision: Decision) -> None:
        """Write the lines of one Decision; nearly all have none."""
        for notice in decision.notices:
            about = "" if notice.symbol is None else f"{notice.symbol} "
            line = f"{iso_time(decision.now_ns)[11:23]} {self._prefix}{notice.code}: {about}{notice.text}"
            print(line, file=sys.stderr, flush=True)
