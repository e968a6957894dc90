"""Tick files of common makers become recordings; what cannot be read is told with its line."""

import bz2
import gzip
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.cli.main import main
from bot.sim.recording import open_recording

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from bot.research.tick_csv import TickFile  # noqa: E402
from bot.research.tick_layout import TickFileError, tell_layout  # noqa: E402
from bot.research.tick_time import form_of, stamps_ns, zone_of  # noqa: E402

Capture = pytest.CaptureFixture[str]
SECOND = 1_000_000_000
TICK = b"1600000000,1,2\n"
GOOD = b"time,bid,ask\n" + TICK
AT_NS = 1_609_711_325_123_000_000  # 2021-01-03 22:02:05.123 UTC


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    """Run `microlev import` and return its exit code and what it wrote."""
    capsys.readouterr()
    code = main(["import", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("stamp", "form", "zone", "ns"),
    [
        ("1609711325", "s", "UTC", AT_NS - 123_000_000),
        ("1609711325.123", "s", "UTC", AT_NS),
        ("1609711325123", "ms", "UTC", AT_NS),
        ("1609711325123.5", "ms", "UTC", AT_NS + 500_000),
        ("1609711325123000", "us", "UTC", AT_NS),
        ("1609711325123000001", "ns", "UTC", AT_NS + 1),
        ("2021-01-03T22:02:05.123Z", "ymd", "America/New_York", AT_NS),
        ("2021-01-03 22:02:05.123", "ymd", "UTC", AT_NS),
        ("2021-01-03T17:02:05.123-05:00", "ymd", "UTC", AT_NS),
        ("2021-01-04 00:02:05,123 +0200", "ymd", "UTC", AT_NS),
        ("20210103 220205123", "ymd", "UTC", AT_NS),
        ("20210103 170205123", "ymd", "-05:00", AT_NS),
        ("20210103 17:02:05.123", "ymd", "America/New_York", AT_NS),
        ("20210103220205", "ymd", "UTC", AT_NS - 123_000_000),
        ("2021.01.03 22:02:05.123456789", "ymd", "UTC", AT_NS + 456_789),
        ("03.01.2021 22:02:05.123", "dmy", "UTC", AT_NS),
        ("03.01.2021 22:02:05.123 GMT", "dmy", "Asia/Tokyo", AT_NS),
        ("2021-07-01 08:00:00", "ymd", "Europe/London", 1_625_122_800 * SECOND),  # summer time
    ],
)
def test_a_stamp_is_told_and_read(stamp: str, form: str, zone: str, ns: int) -> None:
    assert form_of(stamp) == form
    found, valid = stamps_ns(pa.array([stamp, "", "x", "20"]), form, zone_of(zone))
    assert (found.tolist(), valid.tolist()[:3]) == ([ns, 0, 0, *found.tolist()[3:]], [True, False, False])


def test_calendar_stamps_are_those_that_python_reads() -> None:
    moments = [datetime(2020, 2, 28, tzinfo=UTC).timestamp() + 86_399.5 * i for i in range(800)]
    texts = [datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds") for moment in moments]
    found, valid = stamps_ns(pa.array(texts), "ymd", UTC)
    assert valid.all()
    np.testing.assert_array_equal(found, [round(moment * 1e6) * 1000 for moment in moments])


@pytest.mark.parametrize(
    "stamp",
    ["2021-02-29 00:00:00", "2021-13-01 00:00:00", "2021-01-01 24:00:00", "2021-01-00 00:00:00", "0021-01-01 00:00:00"],
)
def test_a_day_that_there_is_not_is_no_stamp(stamp: str) -> None:
    assert stamps_ns(pa.array([stamp]), "ymd", UTC)[1].tolist() == [False]


def test_a_day_and_month_that_could_be_either_are_not_guessed() -> None:
    assert form_of("01/02/2021 00:00:00") is form_of("01-02-2021 00:00:00") is None
    for form, month in (("mdy", 1), ("dmy", 2)):
        (ns,), _ = stamps_ns(pa.array(["01/02/2021 00:00:00"]), form, UTC)
        assert datetime.fromtimestamp(ns // SECOND, UTC).month == month
    with pytest.raises(TickFileError, match=r"has stamps like '01/02/2021 00:00:00'; say what they are with --format"):
        tell_layout(["time,bid,ask", "01/02/2021 00:00:00,1,2"])
    for name in ("Mars/Base", "+25:00", "../etc"):
        with pytest.raises(ValueError, match="there is no time zone"):
            zone_of(name)


MAKERS = {
    "plain": ("timestamp,bid,ask\n{us},1.10000,1.10002\n{us},1.10001,1.10003\n", ()),
    "dukascopy": (
        "Gmt time,Ask,Bid,AskVolume,BidVolume\n03.01.2021 22:02:05.123,1.10002,1.10000,1,1\n"
        "03.01.2021 22:02:05.123,1.10003,1.10001,1,1\n",
        (),
    ),
    "histdata": (
        "20210103 170205123,1.10000,1.10002,0\n20210103 170205123,1.10001,1.10003,0\n", ("--time-zone", "-05:00"),
    ),
    "truefx": ("EUR/USD,20210103 22:02:05.123,1.10000,1.10002\nEUR/USD,20210103 22:02:05.123,1.10001,1.10003\n", ()),
    "metatrader": (
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
        "2021.01.03\t22:02:05.123\t1.10000\t1.10002\t\t\t6\n2021.01.03\t22:02:05.123\t1.10001\t1.10003\t\t\t6\n",
        (),
    ),
    "semicolons": ('"ts";"Bid";"Ask"\n"{ms}";"1,10000";"1,10002"\n"{ms}";"1,10001";"1,10003"\n', ()),
    "asks first, no header": ("{ns};1.10002;1.10000\r\n{ns};1.10003;1.10001\r\n", ()),
    "as many commas as semicolons": (
        "2021-01-03T22:02:05.123Z;1,10000;1,10002\n2021-01-03T22:02:05.123Z;1,10001;1,10003\n", (),
    ),
    "named by hand": (
        "a,b,c\n1.10002,{us},1.10000\n1.10003,{us},1.10001",
        ("--time-column", 2, "--bid-column", "C", "--ask-column", "a"),
    ),
    "blank lines": (
        "\ufeff\ndate,time,bid,ask\n\n20210103,22:02:05.123,1.1,1.10002\n\n20210103,22:02:05.123,1.10001,1.10003\n\n",
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_files_of_common_makers_become_the_same_recording(maker: str, tmp_path: Path, capsys: Capture) -> None:
    text, options = MAKERS[maker]
    ticks, out = tmp_path / "ticks.csv", tmp_path / "out.parquet"
    ticks.write_text(text.format(us=AT_NS // 1000, ms=AT_NS // 1_000_000, ns=AT_NS), encoding="utf-8", newline="")
    code, printed, errors = run(capsys, ticks, out, "--symbol", "EURUSD", *options)
    assert (code, errors) == (0, "")
    assert printed.startswith(f"{out}: 2 quotes of EURUSD; columns: time in ")
    table = pq.read_table(out)
    assert table.column_names == ["ts_us", "bid", "ask"]
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (AT_NS // 1000, 1.1, 1.10002), (AT_NS // 1000, 1.10001, 1.10003),
    ]  # fmt: skip
    assert open_recording(str(out)).spec.name == "EURUSD"


def ticks_text(count: int, **lines: str) -> str:
    """Return a file with a header and `count` ticks; `lines` replace some, by number as in `line7`."""
    whole = ["time,bid,ask", *(f"{1_600_000_000 + i},{1 + i / 1e5:.5f},{1.00002 + i / 1e5:.5f}" for i in range(count))]
    for name, line in lines.items():
        whole[int(name.removeprefix("line")) - 1] = line
    return "\n".join(whole) + "\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1600000498,1.0", "it has 2 columns, not 3"),
        ("yesterday,1.0,1.1", "'yesterday' is no time"),
        ("1600000498,x,1.1", "'x' is no price"),
        ("1600000498,1.0,-1.1", "'-1.1' is no price"),
        ("1600000498,0,1.1", "'0' is no price"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1 << 23, 2_000])
def test_bad_lines_are_left_out_counted_and_the_first_is_told_by_its_number(
    line: str, why: str, block_bytes: int, tmp_path: Path
) -> None:
    ticks = tmp_path / "ticks.csv"
    ticks.write_text(ticks_text(1000, line300="", line301="", line500=line, line700="1,2,3,4", line900="x,y,z"))
    file = TickFile(ticks)
    blocks = list(file.quotes(file.tell_layout(), UTC, block_bytes))
    file.close()
    times = np.concatenate([block[0] for block in blocks])
    left_out = {298, 299, 498, 698, 898}
    np.testing.assert_array_equal(times, [(1_600_000_000 + i) * 1_000_000 for i in range(1000) if i not in left_out])
    assert (file.counts.good, file.counts.bad, file.counts.first_bad) == (995, 3, (500, why))


def test_more_than_one_line_in_a_hundred_is_refused_unless_forced(tmp_path: Path, capsys: Capture) -> None:
    ticks, out = tmp_path / "ticks.csv", tmp_path / "out.parquet"
    ticks.write_text(ticks_text(100, line7="x,1,1", line9="x,1,1"))
    code, _, errors = run(capsys, ticks, out, "--symbol", "EURUSD")
    assert code == 2
    assert errors == (
        f"{ticks}: 2 of 100 lines cannot be read, more than 1 %; the first is line 7: 'x' is no time; "
        f"--force leaves them out\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ticks.csv"]
    code, printed, errors = run(capsys, ticks, out, "--symbol", "EURUSD", "--force")
    assert code == 0 and printed.startswith(f"{out}: 98 quotes")
    assert errors == f"{ticks}: 2 lines cannot be read and are left out; the first is line 7: 'x' is no time\n"


@pytest.mark.parametrize("block_bytes", [1 << 23, 2_000, 40])  # the last: a line a block
def test_a_time_before_the_one_above_it_is_refused_with_its_line(block_bytes: int, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks.csv"
    ticks.write_text(ticks_text(1000, line200="1,2", line300="", line400="a,b,c,d", line500="1600000400,1.0,1.1"))
    file = TickFile(ticks)
    with pytest.raises(TickFileError, match=rf"{re.escape(str(ticks))} line 500: its time '1600000400' is before"):
        list(file.quotes(file.tell_layout(), UTC, block_bytes))
    file.close()


def test_an_empty_side_has_not_changed_and_none_is_known_before_the_first(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks.csv"
    lines = ["1,1.1,", "2,,1.2", *(f"{i},,1.{i}" for i in range(3, 9)), "9,1.0,"]
    ticks.write_text("time,bid,ask\n" + "".join(f"160000000{line}\n" for line in lines))
    for block_bytes in (1 << 23, 40):
        file = TickFile(ticks)
        blocks = list(file.quotes(file.tell_layout(), UTC, block_bytes))
        file.close()
        _, bid, ask = (np.concatenate(column) for column in zip(*blocks, strict=True))
        assert bid.tolist() == [1.1] * 7 + [1.0]
        assert ask.tolist() == [1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.8]
        assert (file.counts.incomplete, file.counts.bad) == (1, 0)


def test_compressed_and_utf_16_files_are_read_as_they_are(tmp_path: Path, capsys: Capture) -> None:
    content = ticks_text(50).encode()
    utf16 = ticks_text(50).encode("utf-16")
    for name, packed in (
        ("t.csv.gz", gzip.compress(content)),
        ("t.csv.bz2", bz2.compress(content)),
        ("T.CSV.GZ", gzip.compress(content)),
        ("u.csv", utf16),
        ("u.csv.gz", gzip.compress(utf16)),
    ):
        (tmp_path / name).write_bytes(packed)
        code, printed, errors = run(capsys, tmp_path / name, tmp_path / f"{name}.parquet", "--symbol", "EURUSD")
        assert (code, errors) == (0, "") and ": 50 quotes of EURUSD" in printed


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        (b"", (), "{0} holds no line\n"),
        (b"time,bid,ask\n", (), "{0} holds no line of 3 columns below its header\n"),
        (
            b"when,bid,ask\n" + TICK,
            (),
            "{0} has no column that is a time; say which with --time-column: when (1600000000)",
        ),
        (
            b"time,open,close\n" + TICK,
            (),
            "{0} has no column named bid; say which with --bid-column: time, open, close\n",
        ),
        (b"1600000000,1\n", (), "{0} has no two columns of prices behind its time"),
        (GOOD, ("--bid-column", "open"), "{0} has no column 'open' (--bid-column); it has:"),
        (GOOD, ("--time-zone", "Asia/Tokyo"), "{0} counts its times from the epoch (s)"),
        (GOOD, ("--format", "ymd"), "{0} holds no quote that can be read; the first is line 2: '1600000000'"),
        (b"time,bid,ask\n1600000000,\xff,2\n", (), "{0} cannot be read: "),
        (GOOD, ("--format", "ymdx"), "microlev import: Invalid value for --format: must be one of"),
        (GOOD, ("--time-zone", "Mars"), "microlev import: Invalid value for --time-zone: there is no"),
        (GOOD, ("--symbol", ""), "microlev import: Invalid value for --symbol"),
        (GOOD, ("--time-column", "1") * 3, "microlev import: Invalid value for --time-column"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_line_and_leaves_nothing(
    content: bytes, options: tuple[Any, ...], text: str, tmp_path: Path, capsys: Capture
) -> None:
    ticks = tmp_path / "ticks.csv"
    ticks.write_bytes(content)
    code, printed, errors = run(capsys, ticks, tmp_path / "out.parquet", "--symbol", "EURUSD", *options)
    assert (code, printed, errors.count("\n")) == (2, "", 1), errors
    assert errors.startswith(text.format(ticks)), errors
    assert [path.name for path in tmp_path.iterdir()] == ["ticks.csv"]


def symbols_text(*symbols: str, header: str = "", count: int = 60) -> str:
    """Return a file with a tick a second of each symbol in turn; the bid of the n-th symbol is n."""
    lines = [f"{symbol},{1_600_000_000 + i},{n}.0,{n}.1" for i in range(count) for n, symbol in enumerate(symbols, 1)]
    return header + "\n".join(lines) + "\n"


@pytest.mark.parametrize("header", ["", "Symbol,time,bid,ask\n", "<TICKER>,time,bid,ask\n"])
@pytest.mark.parametrize(
    ("names", "wanted", "bid"),
    [
        (("GBPUSD", "EUR/USD"), "EURUSD", 2.0),
        (("EURUSD.r", "EURUSD", "BTCUSDT"), "eurusd", 2.0),
        (("US30", "GER40"), "US30", 1.0),
        (("EURUSD.r",), "EURUSD", 1.0),
        (("EURUSDm",), "EURUSD", 1.0),
        (("EUR/USD",), "EURUSD.r", 1.0),
    ],
)
def test_of_several_symbols_in_a_file_only_one_is_taken(
    names: tuple[str, ...], wanted: str, bid: float, header: str, tmp_path: Path, capsys: Capture
) -> None:
    ticks, out = tmp_path / "ticks.csv", tmp_path / "out.parquet"
    ticks.write_text(symbols_text(*names, header=header))
    code, printed, errors = run(capsys, ticks, out, "--symbol", wanted)
    others = f"; {60 * (len(names) - 1)} lines of other symbols left out" if len(names) > 1 else ""
    assert (code, errors) == (0, "")
    assert printed == f"{out}: 60 quotes of {wanted}{others}; columns: time in 2 (s), bid 3, ask 4, symbol 1\n"
    assert set(pq.read_table(out)["bid"].to_pylist()) == {bid}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (symbols_text("GBPUSD", "EURUSD.r"), "holds no line of EURUSD; it has: GBPUSD, EURUSD.r"),
        (symbols_text("EURUSDT"), "holds no line of EURUSD; it has: EURUSDT"),
    ],
)
def test_a_file_without_the_symbol_is_refused(text: str, why: str, tmp_path: Path, capsys: Capture) -> None:
    ticks = tmp_path / "ticks.csv"
    ticks.write_text(text)
    assert run(capsys, ticks, tmp_path / "out.parquet", "--symbol", "EURUSD") == (2, "", f"{ticks} {why}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["ticks.csv"]


def test_a_symbol_is_not_taken_by_its_suffix_where_another_comes_later_and_lines_may_name_none(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks.csv"
    ticks.write_text(symbols_text("EURUSD.r") + "EURUSD.x,1600000100,1,2\n")
    file = TickFile(ticks, "EURUSD")
    with pytest.raises(TickFileError, match=r"ticks.csv holds EURUSD.r and EURUSD.x: name the one that is wanted"):
        list(file.quotes(file.tell_layout(), UTC, 100))
    file.close()
    # A price of another symbol is not looked at, and times are in order of one's own.
    lines = "GBPUSD,1600000200,x,2\n,1600000101,1,2\nEURUSD,1600000102,1,2\n"
    ticks.write_text(symbols_text("EURUSD") + lines)
    file = TickFile(ticks, "EURUSD")
    list(file.quotes(file.tell_layout(), UTC))
    file.close()
    counts = file.counts
    assert (counts.good, counts.other, counts.bad, counts.first_bad) == (61, 1, 1, (62, "it names no symbol"))


def test_nothing_is_overwritten_and_columns_that_look_swapped_are_told(tmp_path: Path, capsys: Capture) -> None:
    ticks, out = tmp_path / "ticks.csv", tmp_path / "out.parquet"
    assert run(capsys, ticks, out, "--symbol", "EURUSD") == (2, "", f"cannot read {ticks}: No such file or directory\n")
    ticks.write_text("time,ask,bid\n" + "".join(ticks_text(3).splitlines(keepends=True)[1:]))
    out.write_text("somebody's")
    assert run(capsys, ticks, out, "--symbol", "EURUSD") == (2, "", f"{out} exists; --force replaces it\n")
    code, _, errors = run(capsys, ticks, out, "--symbol", "EURUSD", "--force")
    assert (code, errors) == (0, f"{ticks}: 3 of 3 quotes have a bid above the ask: see the columns\n")
