"""Decoding: whole keyframes, the right ones, at once, whatever the encoder did."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecheck.decode import MAX_STEP_S, StreamDecoder, sampled_frames
from scenecheck.planes import picture_of
from scenecheck.preprocess import TILE_SIZE, resized, tiles
from scenecheck.types import Frame
from tests.servers.frame_numbers import read_number
from tests.servers.media import PRESETS, Clips

CODED = [
    name
    for name in PRESETS
    if not name.startswith("mjpeg") and "refresh" not in name and "rotated" not in name
]


def numbers(frames: list[Frame]) -> list[int | None]:
    return [read_number(frame.picture.planes[0]) for frame in frames]


def streamed(path: Path, **options: Any) -> tuple[list[Frame], StreamDecoder]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, **options)
        frames: list[Frame] = []
        for packet in container.demux(stream):
            frames += decoder.feed(packet) if packet.size else decoder.end()
    return frames, decoder


def sampled(path: Path, n: int) -> list[Frame]:
    with av.open(str(path)) as container:
        return list(sampled_frames(container, container.streams.video[0], n))


@pytest.mark.parametrize("preset", CODED)
def test_stream_decoder_yields_every_keyframe_whole_and_undamaged(clips: Clips, preset: str) -> None:
    spec = PRESETS[preset]
    frames, decoder = streamed(clips[preset], every_s=0.5)
    keys = [spec.first_number + i for i in range(0, spec.n_frames, spec.gop)]
    found = numbers(frames)
    assert [n for n, f in zip(found, frames, strict=True) if f.is_key] == keys
    assert None not in found
    assert not any(f.is_damaged for f in frames)
    assert decoder.n_damaged == 0
    assert [f.at_s for f in frames] == pytest.approx(
        [(n - spec.first_number) / spec.fps for n in found if n is not None], abs=0.12
    )


def test_stream_decoder_keeps_its_distance_between_frames_of_intra_only_video(clips: Clips) -> None:
    frames, _ = streamed(clips["mjpeg"], every_s=0.4)
    assert numbers(frames) == [0, 10, 20]


def test_stream_decoder_when_there_are_no_keyframes_decodes_completely(clips: Clips) -> None:
    frames, _ = streamed(clips["h264-intra-refresh"], every_s=0.5)
    assert len(frames) >= 5
    assert None not in numbers(frames)


def test_stream_decoder_when_the_gop_is_very_long_decodes_completely(clips: Clips) -> None:
    frames, _ = streamed(clips["h264-long-gop"], every_s=1.0)
    found = numbers(frames)
    assert found[0] == 0
    assert len(found) == 6
    assert None not in found


def test_stream_decoder_on_a_lossy_transport_never_trusts_what_is_no_keyframe(clips: Clips) -> None:
    frames, _ = streamed(clips["h264-long-gop"], every_s=1.0, may_decode_fully=False)
    assert numbers(frames) == [0]


def test_stream_decoder_when_packets_went_missing_meanwhile_marks_the_keyframe(clips: Clips) -> None:
    n_asked = iter(range(10_000))
    frames, _ = streamed(clips["h264"], n_lost=lambda: next(n_asked))
    assert frames
    assert all(f.is_damaged for f in frames)


@pytest.mark.parametrize("preset", ["h264", "h264-slices", "h264-bframes"])
def test_damaged_h264_keyframe_is_never_given_as_whole(clips: Clips, preset: str) -> None:
    with av.open(str(clips[preset])) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream)
        rng = np.random.default_rng(7)
        frames: list[Frame] = []
        for packet in container.demux(stream):
            if not packet.size:
                continue
            data = bytearray(bytes(packet))
            if packet.is_keyframe:
                # Inside the first slice's data: past its length field, parameter sets and header.
                at = len(data) // 3
                data[at : at + 200] = rng.integers(0, 256, 200, dtype=np.uint8).tobytes()
            hurt = av.Packet(bytes(data))
            hurt.pts, hurt.dts, hurt.time_base = packet.pts, packet.dts, packet.time_base
            hurt.is_keyframe = packet.is_keyframe
            frames += decoder.feed(hurt)
        frames += decoder.end()
    assert all(f.is_damaged for f in frames)
    assert decoder.n_damaged + len(frames) >= 2


@pytest.mark.parametrize("preset", [*CODED, "mjpeg", "h264-rotated"])
def test_sampled_frames_are_spread_over_the_film_and_distinct(clips: Clips, preset: str) -> None:
    spec = PRESETS[preset]
    frames = sampled(clips[preset], 4)
    assert len(frames) == 4
    at = [f.at_s for f in frames]
    assert len(set(at)) == 4
    assert max(at) > 0.5 * spec.n_frames / spec.fps
    if spec.rotation == 0:
        found = numbers(frames)
        assert None not in found
        assert len(set(found)) == 4


def test_rotation_metadata_turns_the_picture(clips: Clips) -> None:
    spec = PRESETS["h264-rotated"]
    (frame,) = sampled(clips["h264-rotated"], 1)
    assert (frame.picture.width_px, frame.picture.height_px) == (spec.height, spec.width)
    turned_back = np.rot90(frame.picture.planes[0], -spec.rotation // 90)
    assert read_number(np.ascontiguousarray(turned_back)) is not None


@pytest.mark.parametrize(
    "preset", ["h264", "h264-10bit", "h264-full-range", "h264-bt709", "h264-odd", "hevc-10bit", "mjpeg"]
)
def test_tile_of_a_decoded_frame_is_close_to_ffmpegs_own_rgb(clips: Clips, preset: str) -> None:
    with av.open(str(clips[preset])) as container:
        frame = next(container.decode(video=0))
    tile = tiles([picture_of(frame)])[0].astype(np.float32)
    rgb = frame.to_ndarray(format="rgb24")
    reference = resized(rgb, TILE_SIZE).transpose(2, 0, 1)
    # swscale truncates and clips chroma at full size; a wrong matrix, range or stride is far off.
    assert np.abs(tile - reference).mean() < 3.0


class Codec:
    name = "h264"


class Stream:
    """The fields of a stream that joining looks at."""

    time_base, average_rate, codec_context = 1 / 90_000, 25, Codec


class FakePacket:
    """The fields of a packet that joining looks at."""

    def __init__(self, pts: int | None, data: bytes, is_keyframe: bool) -> None:
        self.pts = self.dts = pts
        self.is_keyframe, self._data, self.size = is_keyframe, data, len(data)

    def __bytes__(self) -> bytes:
        return self._data


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.booleans()), max_size=40))
def test_times_never_run_away_whatever_the_camera_stamps(stamps: list[tuple[int, bool]]) -> None:
    from scenecheck.decode import _Units

    units = _Units(Stream())  # type: ignore[arg-type]
    done = [units.add(FakePacket(pts, b"x", key)) for pts, key in stamps] + [units.end()]  # type: ignore[arg-type]
    times = [u.t_s for u in done if u is not None]
    assert all(abs(b - a) <= MAX_STEP_S + 1 for a, b in itertools.pairwise(times))


def test_access_units_of_equal_time_stamps_are_joined_and_never_without_end() -> None:
    from scenecheck.decode import MAX_SLICES, _Units

    units = _Units(Stream())  # type: ignore[arg-type]
    packets = [FakePacket(0, b"a", True), FakePacket(0, b"b", True), FakePacket(3600, b"c", False)]
    done = [u for p in packets if (u := units.add(p))]  # type: ignore[arg-type]
    assert [u.data for u in done] == [b"ab"]
    # A live stream's first packet carries no time, the further slices of its picture do.
    first = [FakePacket(None, b"a", True), FakePacket(0, b"b", True), FakePacket(3600, b"c", False)]
    units = _Units(Stream())  # type: ignore[arg-type]
    done = [u for p in first if (u := units.add(p))]  # type: ignore[arg-type]
    assert [u.data for u in done] == [b"ab"]
    standing = _Units(Stream())  # type: ignore[arg-type]
    sizes = [len(u.parts) for _ in range(1000) if (u := standing.add(FakePacket(5, b"x", True)))]  # type: ignore[arg-type]
    assert max(sizes) == MAX_SLICES
