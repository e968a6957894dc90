from datetime import date

from bot.sim.day_files import missing_days


def test_days_between_day_files_that_have_none_are_missing_and_other_names_say_nothing() -> None:
    names = [
        "EURUSD_2026-02-27.parquet",
        "notes_2026-02-30.parquet",
        "EURUSD_2026-03-02.parquet",
        "fx_x_EURUSD_y.parquet",
    ]
    assert missing_days(names) == [date(2026, 2, 28), date(2026, 3, 1)]
    assert missing_days(names[:2]) == missing_days(names[3:]) == missing_days([]) == []
