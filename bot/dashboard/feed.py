"""What the page reads: snapshots of one run, whether it runs now or was recorded."""

from typing import Any, Literal, Protocol

from bot.dashboard.trail import Trail

Kind = Literal["live", "journal"]
Trouble = Literal[
    "connecting",
    "refused_token",
    "untrusted",
    "absent",
    "unreachable",
    "lost",
    "not_understood",
    "reading",
    "unreadable",
]
"""Why nothing new comes. Live: `connecting` at first, and while the bot may be starting; `refused_token` the bot does
not take the token; `untrusted` its certificate is not to be trusted; `absent` no bot says where it is, not yet or no
longer; `unreachable` nobody answers where it is said to be; `lost` it was there and is looked for again;
`not_understood` what comes is no snapshot. Recorded: `reading` goes on; `unreadable` the recording is damaged, or ends
in the middle."""

COMMANDS = ("halt", "resume", "flatten")
NOT_DONE = ("unreachable", "refused_token", "no_answer", "not_halted", "no_command", "recorded")
"""Texts of a command that was not done and that the bot says nothing about. After `no_answer` it may have been done."""


class Feed(Protocol):
    """One run for every browser that looks.

    Missing: `snapshot` and `received_s` are None before the first; `trouble` is None when all is well.
    """

    kind: Kind
    trail: Trail
    snapshot: dict[str, Any] | None
    trouble: Trouble | None
    # Of a recording only.
    times_ns: list[int]
    place: int
    playing: bool
    speed: float
    read_frac: float | None

    @property
    def received_s(self) -> float | None:
        """Seconds since the newest live snapshot came."""

    async def run(self) -> None:
        """Read for as long as the dashboard lives."""

    async def command(self, name: str, reason: str = "") -> tuple[bool, str]:
        """Give one of `COMMANDS` to a live bot, once.

        Returns: whether it was done, and what the bot says or a code of `NOT_DONE`.
        """

    def seek(self, place: int) -> None:
        """Show another of `times_ns`."""

    def play(self, on: bool) -> None:
        """Let recorded time pass, `speed` times as fast as the clock, or stop it."""
