"""Hours and a week of random faults: the bot comes back each time, agrees with the venue, and keeps its promises."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_week import DAY_S, HOUR_S, VirtualWeek
from wired_bot import SECOND

BYTES_AN_ORDER = 600
"""What a run remembers of each order for as long as it lasts: its ids, and those of its deals, so that none counts
twice."""
BYTES_OF_CHANCE = 150_000
"""What comes and goes: an outage under way, orders on their way, hash tables that have just doubled."""


@pytest.fixture
def weeks() -> Iterator[list[VirtualWeek]]:
    """Weeks to be closed."""
    made: list[VirtualWeek] = []
    yield made
    for week in made:
        week.close()


def assert_all_is_well(week: VirtualWeek) -> None:
    """What must be true when the faults are over."""
    assert week.differences() == []
    outages = week.outages
    assert outages.wrong_order == 0, "two losses, or two returns, in a row"
    assert len(outages.lost) == outages.back == outages.state_lost == outages.state_back - 1
    assert all(cause.strip(" :") for cause in outages.lost), "an outage without a cause"
    assert week.ledger_differences() == []
    assert_within_limits(week)
    assert week.witness.problems == []
    assert len(week.run_parts.session.requests) == 0, "requests without an outcome"


def assert_within_limits(week: VirtualWeek) -> None:
    """What the venue's own log has kept of the requests: some days of them."""
    log = week.venue.stage.request_log
    assert log.max_in_window(SECOND, historical=False) <= 50
    assert log.max_in_window(SECOND, historical=True) <= 5


@pytest.mark.parametrize(
    ("account_type", "strategy"),
    [("hedged", "liquidity-weighted"), pytest.param("netted", "constant", marks=pytest.mark.slow)],
)
def test_half_an_hour_in_which_something_breaks_every_minute_ends_well(
    account_type: str, strategy: str, tmp_path: Path, weeks: list[VirtualWeek]
) -> None:
    dense: dict[str, Any] = {"drops_per_hour": 30.0, "others_per_hour": 30.0}
    week = VirtualWeek(tmp_path, 4, until_s=HOUR_S / 2, account_type=account_type, strategy=strategy, **dense)
    weeks.append(week)
    week.run(HOUR_S / 2)
    week.calm(limit_s=420)
    assert_all_is_well(week)
    assert len(week.outages.lost) >= 8 and week.changes["filled"] >= 10 and week.audits >= 2, "too little has happened"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_week_to_the_last_decision(tmp_path: Path, weeks: list[VirtualWeek]) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        week = VirtualWeek(tmp_path / name, 3, until_s=600, drops_per_hour=60.0, others_per_hour=60.0)
        weeks.append(week)
        week.run(600)
    one, other = weeks
    assert one.digest == other.digest
    assert one.fired == other.fired and len(one.outages.lost) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("account_type", "strategy", "seed", "least_fills"),
    [("netted", "liquidity-weighted", 1, 5_000), ("hedged", "constant", 2, 250)],
)
def test_a_week_with_a_thousand_faults_leaves_nothing_behind(
    account_type: str, strategy: str, seed: int, least_fills: int, tmp_path: Path, weeks: list[VirtualWeek]
) -> None:
    week = VirtualWeek(tmp_path, seed, until_s=7 * DAY_S, account_type=account_type, strategy=strategy)
    weeks.append(week)
    sizes, orders = [], []
    for day in range(1, 8):
        week.run(day * DAY_S)
        assert_within_limits(week)
        sizes.append(week.bot_bytes())
        orders.append(week.changes["sent"])
    week.calm()
    assert_all_is_well(week)
    growth = sizes[-1] - sizes[0]
    assert growth <= BYTES_OF_CHANCE + BYTES_AN_ORDER * (orders[-1] - orders[0]), f"bytes of the bot by day: {sizes}"
    missing = {name for name in week.planned_kinds if not week.fired[name]}
    assert not missing, "these faults never struck"
    assert week.driver.figures.connections >= 300
    assert week.changes["filled"] >= least_fills, "too little has been traded to prove anything"
    assert week.changes["unknown"] >= 25 and week.witness.blocked_count >= 10
    assert week.audits >= 3_000 and week.books_audited >= 2_000
    assert {"market_closed:EURUSD", "market_closed:USDJPY"} <= week.reasons_seen
