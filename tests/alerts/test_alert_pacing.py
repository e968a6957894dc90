"""Pacing: not too many in any hour, not the same news twice, none lost uncounted, ends for those who were told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.alert import Alert, Severity
from bot.alerts.pacing import HOUR_NS, Paced, Pacing

MINUTE = 60_000_000_000
START = 1_700_000_000_000_000_000


def begins(key: str, now_ns: int = 0, severity: Severity = "warning", *, lasts: bool = True) -> Alert:
    return Alert("crisis", key, severity, key, "text", now_ns, lasts=lasts)


def ends(key: str, now_ns: int = 0) -> Alert:
    return Alert("crisis", f"{key}:over", "success", key, "text", now_ns, ends=(key,))


class Clerk:
    """A pacing with a clock in minutes, and everything it has sent."""

    def __init__(self, repeat_minutes: int = 30, most: int = 20) -> None:
        self.pacing = Pacing(repeat_minutes * MINUTE, most)
        self.sent: list[tuple[int, Paced]] = []

    def at(self, minute: float, *alerts: Alert) -> list[str]:
        """Take alerts at a time; return the keys of what is sent then, "" for a count alone."""
        now_ns = START + round(minute * MINUTE)
        for alert in alerts:
            self.pacing.take(alert, now_ns)
        due = self.pacing.due(now_ns)
        self.sent += [(now_ns, paced) for paced in due]
        return ["" if paced.alert is None else paced.alert.key for paced in due]


def test_the_same_news_waits_until_it_may_be_told_again_if_it_still_stands() -> None:
    clerk = Clerk()
    assert clerk.at(0, begins("a")) == ["a"]
    assert clerk.at(5, ends("a")) == ["a:over"]
    assert clerk.at(10, begins("a")) == []
    assert clerk.at(29.9) == []
    assert clerk.at(30) == ["a"]
    assert clerk.at(31, ends("a")) == ["a:over"]


def test_what_is_over_before_it_may_be_told_is_counted_with_the_next_message() -> None:
    clerk = Clerk()
    clerk.at(0, begins("a"), ends("a"))
    assert clerk.at(0, begins("a")) == ["a"]
    assert clerk.sent[-1][1].not_sent == 1
    assert clerk.at(1, ends("a")) == ["a:over"]
    for minute in range(2, 10, 2):
        assert clerk.at(minute, begins("a")) == []
        assert clerk.at(minute + 1, ends("a")) == []
    assert not clerk.pacing.is_idle
    assert clerk.at(20, begins("b")) == ["b"]
    assert clerk.sent[-1][1].not_sent == 4
    assert clerk.pacing.is_idle


def test_the_count_comes_by_itself_after_an_hour_without_a_message() -> None:
    clerk = Clerk()
    clerk.at(0, begins("a"))
    clerk.at(1, ends("a"))
    clerk.at(2, begins("a"), ends("a"))
    assert clerk.at(61.9) == []
    assert clerk.at(62) == [""]
    assert clerk.sent[-1][1] == Paced(None, 1)
    assert clerk.at(200) == []


def test_the_end_is_told_to_those_who_were_told_of_the_beginning_only() -> None:
    clerk = Clerk()
    assert clerk.at(0, ends("a")) == []
    clerk.at(0, begins("a"), ends("a"))
    assert clerk.at(1) == []
    assert clerk.at(2, begins("a")) == ["a"]
    assert clerk.at(3, ends("a")) == ["a:over"]
    assert clerk.at(4, ends("a")) == []


def test_in_a_bad_hour_a_share_is_kept_for_the_gravest() -> None:
    clerk = Clerk(most=8)
    assert len(clerk.at(0, *(begins(f"crisis {i}") for i in range(20)))) == 6
    assert clerk.at(1, begins("halted", 1, "failure")) == ["halted"]
    assert clerk.at(2, begins("gone", 1, "failure"), begins("one too many", 1, "failure")) == ["gone"]
    assert clerk.at(59) == []
    assert clerk.at(60)[0] == "one too many"


def test_the_gravest_goes_first() -> None:
    clerk = Clerk(most=2)
    assert clerk.at(0, begins("mild", 0), begins("grave", 1, "failure")) == ["grave"]


def test_an_end_that_waits_is_forgotten_when_the_trouble_is_back() -> None:
    clerk = Clerk(most=1)
    assert clerk.at(0, begins("a")) == ["a"]
    assert clerk.at(1, ends("a")) == []
    assert clerk.at(2, begins("a")) == []
    assert clerk.at(61) == [], "for whoever was told it never ended"
    assert clerk.at(70, ends("a")) == ["a:over"]
    assert clerk.sent[-1][1].not_sent == 1


def test_of_the_same_news_the_newest_waits() -> None:
    clerk = Clerk(most=1)
    clerk.at(0, begins("x"))
    clerk.at(1, begins("day", 1, lasts=False), begins("day", 2, lasts=False))
    assert clerk.at(60) == ["day"]
    alert = clerk.sent[-1][1].alert
    assert alert is not None and alert.time_ns == 2 and clerk.sent[-1][1].not_sent == 1


def test_a_later_run_knows_what_was_told_and_how_much() -> None:
    first, later = Clerk(most=2), Clerk(most=2)
    first.at(0, begins("stopped", 0, "failure"))
    first.at(1, begins("b", 1, "failure"))
    later.pacing.restore(first.pacing.memory(), START + 2 * MINUTE)
    assert later.at(2, begins("stopped", 2, "failure")) == []
    assert later.at(3, begins("c", 3, "failure")) == []
    assert later.at(61, ends("stopped")) == ["c"]
    assert later.at(121) == ["stopped:over"]


def test_times_of_a_clock_that_was_set_back_since_hold_nothing_up() -> None:
    first, later = Clerk(), Clerk()
    first.at(1000, begins("a"))
    later.pacing.restore(first.pacing.memory(), START)
    assert later.at(0, begins("a")) == ["a"]


@pytest.mark.parametrize(
    "content", [{}, {"sent_ns": 1, "told_ns": {}, "open": []}, {"sent_ns": ["x"], "told_ns": {}, "open": []}]
)
def test_a_memory_that_is_none_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not the memory of a pacing"):
        Clerk().pacing.restore(content, START)


NEWS = st.tuples(
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.booleans(),
    st.sampled_from(["warning", "failure"]),
    st.integers(0, 20 * 60),  # seconds since the one before
)


@given(news=st.lists(NEWS, max_size=80), repeat_minutes=st.integers(1, 90), most=st.integers(1, 6))
def test_whatever_happens_no_hour_is_too_full_nothing_comes_twice_and_nothing_is_lost(
    news: list[tuple[str, bool, Severity, int]], repeat_minutes: int, most: int
) -> None:
    pacing = Pacing(repeat_minutes * MINUTE, most)
    now_ns, taken, sent = START, 0, []

    def send() -> None:
        sent.extend((now_ns, paced) for paced in pacing.due(now_ns))

    for key, is_end, severity, after_s in news:
        now_ns += after_s * 1_000_000_000
        taken += not is_end
        pacing.take(ends(key, now_ns) if is_end else begins(key, now_ns, severity), now_ns)
        send()
    for _ in range(400):  # everything that waits gets its turn, and the count
        now_ns += 10 * MINUTE
        send()
    times = [ns for ns, _ in sent]
    assert all(sum(start <= ns < start + HOUR_NS for ns in times) <= most for start in times)
    told: dict[str, int] = {}
    standing: set[str] = set()
    for ns, paced in sent:
        alert = paced.alert
        if alert is None:
            assert paced.not_sent
        elif alert.ends:
            assert alert.ends[0] in standing, "an end without its beginning"
            standing.discard(alert.ends[0])
        else:
            assert ns - told.get(alert.key, ns - repeat_minutes * MINUTE) >= repeat_minutes * MINUTE
            told[alert.key] = ns
            standing.add(alert.key)
    beginnings = sum(paced.alert is not None and not paced.alert.ends for _, paced in sent)
    assert taken == beginnings + sum(paced.not_sent for _, paced in sent)
    assert pacing.is_idle
