"""The table of the handshake is whole: every phase leads to READY, and waits for messages that exist."""

from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.schema import message


def test_the_table_is_one_path_from_the_first_phase_to_ready() -> None:
    phase, passed = Phase.APPLICATION_AUTH, []
    while phase is not Phase.READY:
        passed.append(phase)
        phase = TRANSITIONS[phase].next
    assert passed == [p for p in Phase if p not in (Phase.CLOSED, Phase.READY)] == list(TRANSITIONS)


def test_every_reply_awaited_exists_and_has_its_request() -> None:
    for transition in TRANSITIONS.values():
        for name in transition.awaits:
            assert message(name.removesuffix("Res") + "Req")
            assert message(name)


def test_the_questions_of_a_phase_only_grow_along_the_path() -> None:
    for question in ("has_account", "has_symbols", "has_spots", "has_depth"):
        answers = [getattr(phase, question) for phase in Phase]
        assert answers == sorted(answers)
