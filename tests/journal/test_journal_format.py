"""The bytes of a journal, against a second decoder written from docs/journal.md alone."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.journal.format import (
    MAX_PAYLOAD_BYTES,
    RECORD_OVERHEAD,
    JournalError,
    RecordKind,
    decode_batch,
    decode_json,
    encode_batch,
    encode_json,
    encode_preamble,
    encode_record,
    record_is_intact,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "journal.md"
NS = st.integers(-(2**63), 2**63 - 1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def naive_record(data: bytes) -> tuple[int, int, bytes, bytes]:
    """Return (kind, ns, payload, rest) of the record that `data` starts with."""
    length = int.from_bytes(data[0:4], "little")
    checked = data[4 : 13 + length]
    assert int.from_bytes(data[13 + length : 17 + length], "little") == zlib.crc32(checked)
    return checked[0], int.from_bytes(checked[1:9], "little", signed=True), checked[9:], data[17 + length :]


@given(st.sampled_from(RecordKind), NS, st.binary(max_size=300), st.binary(max_size=20))
def test_a_record_is_read_by_a_second_decoder_and_uses_no_byte_behind_it(kind, ns, payload, rest):
    record = encode_record(kind, ns, payload)
    assert len(record) == len(payload) + RECORD_OVERHEAD
    assert naive_record(record + rest) == (kind, ns, payload, rest)
    assert record_is_intact(b"xyz" + record, 3, len(payload))


@given(st.sampled_from(RecordKind), NS, st.binary(max_size=60), st.data())
def test_a_changed_byte_after_the_length_breaks_the_crc(kind, ns, payload, data):
    record = bytearray(encode_record(kind, ns, payload))
    position = data.draw(st.integers(4, len(record) - 1))
    record[position] ^= data.draw(st.integers(1, 255))
    assert not record_is_intact(bytes(record), 0, len(payload))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_batch_gives_back_its_frames_and_is_the_count_then_length_and_bytes(frames):
    payload = encode_batch(frames)
    assert decode_batch(payload) == frames
    expected = struct.pack("<I", len(frames)) + b"".join(struct.pack("<I", len(one)) + one for one in frames)
    assert payload == expected


@given(st.lists(st.binary(max_size=10), min_size=1, max_size=4))
def test_a_batch_cut_or_prolonged_anywhere_is_refused(frames):
    payload = encode_batch(frames)
    for size in range(len(payload)):
        with pytest.raises(JournalError, match="BATCH payload"):
            decode_batch(payload[:size])
    with pytest.raises(JournalError, match="1 bytes after its"):
        decode_batch(payload + b"\0")


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_a_json_payload_gives_back_its_object(content):
    assert decode_json(encode_json(content)) == content


@pytest.mark.parametrize("content", [{"equity": float("nan")}, {"path": object()}])
def test_what_json_cannot_hold_is_refused(content):
    with pytest.raises(JournalError, match="cannot be written as JSON"):
        encode_json(content)


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_payload_that_is_no_json_object_is_refused(payload):
    with pytest.raises(JournalError, match="payload of"):
        decode_json(payload)


def test_a_payload_over_the_limit_is_refused_with_both_numbers():
    with pytest.raises(JournalError, match=f"{MAX_PAYLOAD_BYTES + 1} bytes is over .* {MAX_PAYLOAD_BYTES}"):
        encode_record(RecordKind.INPUT, 1, bytes(MAX_PAYLOAD_BYTES + 1))


@pytest.mark.parametrize("ns", [2**63, -(2**63) - 1, 1.5])
def test_a_time_that_is_no_64_bit_integer_is_refused(ns):
    with pytest.raises(JournalError, match="TIMER"):
        encode_record(RecordKind.TIMER, ns, b"")


def test_no_kind_is_zero_and_the_numbers_are_those_of_the_document():
    rows = re.findall(r"^\| (\d+) \| `([A-Z]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert {int(number): name for number, name in rows} == {kind.value: kind.name for kind in RecordKind}
    assert 0 not in {kind.value for kind in RecordKind}


def test_the_document_shows_the_bytes_that_are_written():
    section = DOCUMENT.read_text("utf-8").split("```hex\n")[1].split("```")[0]
    shown = bytes.fromhex("".join(line.split("#")[0] for line in section.splitlines()))
    written = [
        encode_preamble(),
        encode_record(RecordKind.HEADER, 0, encode_json({"run": "r1"})),
        encode_record(RecordKind.BATCH, 1_700_000_000_000_000_000, encode_batch([b"\x08\x33", b"hi!"])),
        encode_record(RecordKind.TIMER, 1_700_000_000_250_000_000, b""),
        encode_record(RecordKind.END, 1_700_000_001_000_000_000, encode_json({})),
    ]
    assert shown == b"".join(written)
