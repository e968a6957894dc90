"""Frames survive every way a network can cut them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.framing import MAX_FRAME_BYTES, FrameReader, FrameTooLong, frame

bodies = st.lists(st.binary(max_size=40), max_size=6)


def test_the_length_is_four_bytes_big_endian_and_does_not_count_itself() -> None:
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"


@given(bodies)
def test_a_stream_split_at_every_point_gives_the_same_frames(sent: list[bytes]) -> None:
    stream = b"".join(map(frame, sent))
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        assert reader.receive(stream[:cut]) + reader.receive(stream[cut:]) == sent
        assert reader.pending_bytes == 0


@given(bodies, st.lists(st.integers(1, 7), min_size=1))
def test_any_pieces_give_the_same_frames(sent: list[bytes], sizes: list[int]) -> None:
    stream, reader, got, i = b"".join(map(frame, sent)), FrameReader(), [], 0
    while stream:
        size = sizes[i % len(sizes)]
        got += reader.receive(stream[:size])
        stream, i = stream[size:], i + 1
    assert got == sent


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_frames_or_a_clear_refusal(noise: bytes) -> None:
    reader = FrameReader(max_frame_bytes=64)
    try:
        frames = reader.receive(noise)
    except FrameTooLong:
        return
    assert sum(len(f) + 4 for f in frames) + reader.pending_bytes == len(noise)


def test_a_length_over_the_limit_is_refused_before_its_body_comes() -> None:
    with pytest.raises(FrameTooLong, match="announced a frame of 65 bytes; the limit is 64"):
        FrameReader(max_frame_bytes=64).receive(b"\x00\x00\x00\x41")
    with pytest.raises(FrameTooLong, match="over the limit"):
        frame(bytes(MAX_FRAME_BYTES + 1))
