"""Redaction: a secret is taken out however it is written, and what is too short to be one is left."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.redaction import MARKER, Redaction

SECRETS = st.text(st.characters(codec="utf-8"), min_size=6, max_size=20)


@given(secret=SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_secret_is_taken_out_plain_in_json_and_in_a_url(secret: str, before: str, after: str) -> None:
    redaction = Redaction()
    redaction.learn([secret, None, ""])
    for written in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert written not in redaction.text(f"{before}|{written}|{after}").replace(MARKER, "\0")


def test_of_a_url_the_long_parts_are_secrets_too_and_short_ones_are_words() -> None:
    redaction = Redaction()
    redaction.learn_url("tgram://123456789012:AAAA-bbbb-cccc/-1001")
    redaction.learn(["EUR"])
    assert redaction.text("tgram://123456789012:AAAA-bbbb-cccc/-1001") == MARKER
    assert redaction.text("bot 123456789012 with AAAA-bbbb-cccc on EUR at -1001") == "bot *** with *** on EUR at -1001"


def test_of_two_secrets_the_longer_one_is_taken_out_whole() -> None:
    redaction = Redaction()
    redaction.learn(["secret", "secret-of-all"])
    assert redaction.text("secret-of-all") == MARKER
