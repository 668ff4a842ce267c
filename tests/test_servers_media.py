"""The clips are what their specification says, and their frame numbers survive compression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.frame_numbers import read_number, write_number
from tests.servers.media import PRESETS, luma, numbers_in
from tests.servers.rtp import load, nal_type, split_nals

if TYPE_CHECKING:
    from tests.servers.media import Clips


def first_frame(path: object) -> Any:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def key_frames(path: object) -> list[bool]:
    with av.open(str(path)) as container:
        return [bool(frame.key_frame) for frame in container.decode(video=0)]


@given(number=st.integers(0, 2**24 - 1))
def test_number_when_written_then_read_back(number: int) -> None:
    picture = np.full((360, 640), 100, np.uint8)
    write_number(picture, number)
    assert read_number(picture) == number
    assert read_number(picture.astype(np.uint16) * 4) == number


@given(seed=st.integers(0, 2**32 - 1))
def test_number_when_nothing_was_written_then_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(rng.normal(0, 3, (180, 320)), axis=1) + 120
    assert read_number(smooth.clip(0, 255).astype(np.uint8)) is None


def test_number_when_one_cell_is_inverted_then_none() -> None:
    picture = np.full((360, 640), 100, np.uint8)
    write_number(picture, 4711)
    picture[8:24, 8:24] = 255 - picture[8:24, 8:24]
    assert read_number(picture) is None


def test_number_when_the_picture_is_too_small_then_value_error() -> None:
    with pytest.raises(ValueError, match="144x80"):
        write_number(np.zeros((64, 64), np.uint8), 1)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_preset_when_decoded_then_every_frame_has_its_number(clips: Clips, preset: str) -> None:
    spec = PRESETS[preset]
    assert numbers_in(clips[preset]) == list(range(spec.first_number, spec.first_number + spec.n_frames))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_preset_when_asked_then_format_and_size_are_as_specified(clips: Clips, preset: str) -> None:
    spec, frame = PRESETS[preset], first_frame(clips[preset])
    assert (frame.width, frame.height) == (spec.width, spec.height)
    assert ("10" in frame.format.name) == spec.ten_bit
    assert frame.interlaced_frame == spec.interlaced
    assert frame.rotation == spec.rotation
    if spec.full_range or spec.codec == "mjpeg":
        assert frame.color_range == 2
    if spec.matrix:
        assert frame.colorspace == {"bt709": 1, "bt601": 6}[spec.matrix]


def test_clip_when_made_twice_then_made_once(clips: Clips) -> None:
    first = clips.make("h264", n_frames=5)
    made = first.stat().st_mtime_ns
    assert clips.make("h264", n_frames=5) == first
    assert first.stat().st_mtime_ns == made
    assert clips.make("h264", n_frames=6) != first


def test_clip_when_a_field_is_misspelt_then_type_error(clips: Clips) -> None:
    with pytest.raises(TypeError, match="gopp"):
        clips.make("h264", gopp=5)


def test_number_when_compressed_hard_then_still_right(clips: Clips) -> None:
    assert numbers_in(clips.make("h264", crf=45, n_frames=25)) == list(range(25))


def test_intra_refresh_when_decoded_then_only_the_first_frame_is_key(clips: Clips) -> None:
    assert key_frames(clips["h264-intra-refresh"]) == [True] + [False] * 99


def test_open_gop_when_packetised_then_later_keys_are_no_idr(clips: Clips) -> None:
    media = load(clips["h264-open-gop"], "inband")
    idr = [unit for unit in media.units if any(map(_is_idr, unit.payloads))]
    assert len([unit for unit in media.units if unit.key]) == 4
    assert len(idr) == 1


def test_slices_when_packetised_then_a_keyframe_has_four(clips: Clips) -> None:
    with av.open(str(clips.make("h264-slices", container="h264"))) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.is_keyframe)
        assert [nal_type("h264", nal) for nal in split_nals(bytes(packet))].count(5) == 4


def test_ten_bit_when_decoded_then_luma_is_16_bit_wide(clips: Clips) -> None:
    plane = luma(first_frame(clips["h264-10bit"]))
    assert plane.dtype == np.uint16
    assert plane.max() > 255


def _is_idr(payload: bytes) -> bool:
    kind = payload[0] & 0x1F
    return (payload[1] & 0x1F if kind == 28 else kind) == 5
