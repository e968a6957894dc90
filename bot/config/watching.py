"""The sections for those who watch a run: telemetry, which they look at, and alerts, which they are told.

Neither changes what a run decides.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StrictBool, StrictStr

from bot.config.section import NotNegative, Positive, PositiveWhole, Section, UserPath, Whole

AlertEvent = Literal[
    "halted", "limit_tightened", "crisis", "unknown_order", "disconnected", "token_expiry", "daily_report"
]


class TelemetryConfig(Section):
    """Where a page, a script or Prometheus may look at a run, and steer it with the token of its start."""

    enabled: StrictBool = Field(False, description="Listen at all. Off, the bot opens no TCP port.")
    host: StrictStr = Field(
        "127.0.0.1", description="The address to listen on: `localhost` or a number; this machine alone by default."
    )
    port: Annotated[Whole, Field(ge=0, le=65535)] = Field(
        0, description="TCP port; 0 takes a free one, which the state folder's telemetry.json names."
    )
    expose: StrictBool = Field(
        False, description="Let others than this machine connect: needs a certificate, and a `host` that they reach."
    )
    certificate_file: UserPath | None = Field(
        None, description="PEM file of the server's certificate and its chain, for TLS; on loopback, too."
    )
    private_key_file: UserPath | None = Field(None, description="PEM file of its private key, readable by you alone.")
    every_s: Annotated[Positive, Field(ge=0.1, le=60)] = Field(0.25, description="Least seconds between snapshots.")


class AlertsConfig(Section):
    """Who is told of what, by any channel that apprise knows: Telegram, Discord, Slack, LINE, mail, a webhook."""

    urls: list[SecretStr] = Field(
        default_factory=list,
        description="Addresses in apprise's form, see docs/alerts.md; they hold secrets, so take them from `${NAME}`. "
        "None: nobody is told.",
    )
    events: list[AlertEvent] = Field(
        [
            "halted",
            "limit_tightened",
            "crisis",
            "unknown_order",
            "disconnected",
            "token_expiry",
            "daily_report",
        ],
        description="What is told.",
    )
    crisis_level: Annotated[Whole, Field(ge=1, le=3)] = Field(2, description="Least crisis level that is told.")
    disconnected_s: NotNegative = Field(60.0, description="Seconds without a connection after which that is told.")
    token_expiry_days: Positive = Field(
        3.0,
        description="Days before its end from which on an access token is told of; one that the bot renews by itself "
        "only when that does not work.",
    )
    repeat_minutes: Positive = Field(30.0, description="The same news is not told again within this many minutes.")
    max_per_hour: PositiveWhole = Field(
        20, description="Most messages in an hour; more wait, or are counted. A quarter is kept for the gravest."
    )
    language: Literal["en", "ja"] = Field("en", description="Language of the messages.")
