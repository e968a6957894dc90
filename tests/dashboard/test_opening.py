"""The file that leads a browser to the page holds the token, so it is for one person, and as long as it is needed."""

import os
import stat

from bot.dashboard.opening import OpeningFile

LINK = "http://127.0.0.1:8123/?token=a-b_c&lang=ja"


def test_the_file_leads_to_the_link_and_is_readable_by_its_owner_alone() -> None:
    opening = OpeningFile(LINK)
    try:
        assert 'content="0;url=http://127.0.0.1:8123/?token=a-b_c&amp;lang=ja"' in opening.path.read_text(
            encoding="utf-8"
        )
        assert 'name="referrer" content="no-referrer"' in opening.path.read_text(encoding="utf-8")
        if os.name == "posix":
            assert stat.S_IMODE(opening.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(opening.path.parent.stat().st_mode) == 0o700
        assert "token" not in str(opening.path)
    finally:
        opening.remove()


def test_the_file_goes_when_somebody_has_come_and_a_second_time_is_nothing() -> None:
    opening = OpeningFile(LINK)
    opening.remove()
    assert not opening.path.parent.exists()
    opening.remove()
