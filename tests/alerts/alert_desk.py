"""An engine at a desk whose decisions are watched by the rules of alerts."""

from dataclasses import replace
from typing import Any

from engine_desk import Desk

from bot.alerts.alert import Alert
from bot.alerts.composer import Composer
from bot.alerts.day_rule import DayFigures
from bot.alerts.redaction import Redaction
from bot.alerts.rules import AlertRules, RuleSettings
from bot.ctrader.plan import SessionPlan
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.events import Event

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EVERY_EVENT = (
    "halted", "limit_tightened", "crisis", "unknown_order", "disconnected", "token_expiry", "daily_report",
)  # fmt: skip
SETTINGS = RuleSettings(
    events=EVERY_EVENT,
    symbols=("EURUSD",),
    crisis_level=2,
    heeds_crisis=True,
    disconnected_ns=60 * SECOND,
    token_expiry_ns=3 * DAY,
    max_drawdown_frac=0.1,
)


def composer(language: str = "en", *secrets: str) -> Composer:
    redaction = Redaction()
    redaction.learn(secrets)
    return Composer(language, redaction, account=7, environment="demo", mode="trade")


class AlertDesk(Desk):
    """A desk that notes every alert. `settings` change those of the rules."""

    def __init__(
        self,
        *names: str,
        language: str = "en",
        rules: dict[str, Any] | None = None,
        token: dict[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
        **changes: Any,
    ) -> None:
        super().__init__(*names, **changes)
        plan = SessionPlan("c", "s", "t", "r", 7, "demo", True, ("EURUSD",), "run-1", **(token or {}))
        self.session = Session(plan)
        chosen = replace(SETTINGS, **(rules or {}))
        self.rules = AlertRules(chosen, self.session, self.engine, composer(language, *secrets))
        self.alerts: list[Alert] = []
        self.days: list[DayFigures] = []

    def hear(self, *events: Event) -> Decision:
        decision = super().hear(*events)
        self.alerts += self.rules.look(decision)
        self.days += self.rules.take_days_over()
        return decision

    def since(self, count: int) -> list[str]:
        """Keys of the alerts behind the first `count`."""
        return [alert.key for alert in self.alerts[count:]]
