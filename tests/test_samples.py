"""The samples: what the manifest says is there, is what it says, and leaks nothing from label to label."""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from samples.render import camera, catalogue

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
LABELS = ("street", "indoor")
LIMIT_BYTES = 6_000_000
LICENCES = ("CC0 1.0", "CC-BY 3.0", "CC-BY 3.0 US")
# Correlation of two stills' 32x18 grey thumbnails: one view twice gives > 0.98, two rooms up to 0.7.
SAME_PICTURE = 0.9

Gray = npt.NDArray[np.uint8]


def _rows() -> list[dict[str, str]]:
    with (SAMPLES / catalogue.MANIFEST).open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


ROWS = _rows()
STILLS = [row for row in ROWS if row["path"].endswith(".jpg")]
CLIPS = [row for row in ROWS if row["path"].endswith(".mp4")]
VIEWS = {name: view for view in catalogue.VIEWS for name, _ in view.outputs()}


def _named(row: dict[str, str]) -> str:
    return row["path"]


def _still(row: dict[str, str]) -> npt.NDArray[np.uint8]:
    picture = cv2.imdecode(np.fromfile(SAMPLES / row["path"], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, f"{row['path']} is no picture"
    return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class Clip:
    """A decoded clip: `rgb` [n,h,w,3], which frames are keyframes, seconds between frames."""

    codec: str
    rgb: npt.NDArray[np.uint8]
    key: list[bool]
    times_s: list[float]
    reordered: bool

    @property
    def gray(self) -> npt.NDArray[np.uint8]:
        return np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in self.rgb])


@pytest.fixture(scope="module")
def decoded() -> dict[str, Clip]:
    """Every clip of the manifest by path."""
    made = {}
    for row in CLIPS:
        with av.open(str(SAMPLES / row["path"])) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            packets = [p for p in container.demux(stream) if p.size]
            reordered = any(p.pts != p.dts for p in packets)
            name = stream.codec_context.name
        with av.open(str(SAMPLES / row["path"])) as container:
            frames = list(container.decode(video=0))
        rgb = np.stack([f.to_ndarray(format="rgb24") for f in frames])
        times = [float(f.time or 0.0) for f in frames]
        made[row["path"]] = Clip(name, rgb, [bool(f.key_frame) for f in frames], times, reordered)
    return made


# ---------------------------------------------------------------- manifest
def test_manifest_starts_with_the_columns_that_evaluation_reads() -> None:
    with (SAMPLES / catalogue.MANIFEST).open(newline="", encoding="utf-8") as f:
        header = next(csv.reader(f))
    assert header[:3] == ["path", "label", "group"]
    assert "flags" in header
    assert tuple(header) == catalogue.COLUMNS


def test_manifest_is_what_the_catalogue_says() -> None:
    expected = {r["path"]: r for view in catalogue.VIEWS for r in catalogue.rows(view, ())}
    without_models = {row["path"]: row | {"models": ""} for row in ROWS}
    assert without_models == expected
    assert len(ROWS) == len(expected), "a path is listed twice"


def test_rows_name_existing_files_and_valid_labels() -> None:
    for row in ROWS:
        assert (SAMPLES / row["path"]).is_file(), row["path"]
        assert row["label"] in LABELS
        assert row["group"]
        assert row["flags"].split()


def test_every_data_file_is_in_the_manifest_or_the_readme() -> None:
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    known = {row["path"] for row in ROWS} | {"README.md"}
    files = [p.relative_to(SAMPLES) for p in SAMPLES.iterdir() if p.is_file() and p.suffix != ".py"]
    strays = [str(p) for p in files if str(p) not in known and f"`{p}`" not in readme]
    assert strays == []


def test_a_group_has_one_label() -> None:
    groups: dict[str, set[str]] = {}
    for row in ROWS:
        groups.setdefault(row["group"], set()).add(row["label"])
    assert [g for g, labels in groups.items() if len(labels) > 1] == []


def test_there_are_stills_and_clips_of_both_labels_and_a_night_of_each_in_infrared() -> None:
    assert 10 <= len(STILLS) <= 16
    for label in LABELS:
        assert sum(r["label"] == label for r in STILLS) >= 6
        flags = [set(r["flags"].split()) for r in CLIPS if r["label"] == label]
        assert len(flags) >= 3
        assert any({"night", "ir"} <= f for f in flags)
        assert any("day" in f for f in flags)


def test_osd_is_as_frequent_on_streets_as_on_rooms() -> None:
    share = {
        label: np.mean(["osd" in r["flags"].split() for r in STILLS if r["label"] == label])
        for label in LABELS
    }
    assert share["street"] == pytest.approx(share["indoor"], abs=0.1)
    assert all("osd" in r["flags"].split() for r in CLIPS)


def test_all_samples_stay_below_the_size_limit() -> None:
    total = sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert total < LIMIT_BYTES


def test_every_visible_model_is_credited_under_a_licence_that_allows_sharing() -> None:
    credited: dict[str, str] = {}
    for line in (SAMPLES / "ATTRIBUTION.txt").read_text(encoding="utf-8").splitlines():
        who, colon, models = line.partition(": ")
        if colon and any(who.endswith(f", {licence}") for licence in LICENCES):
            credited |= dict.fromkeys(models.split(", "), who)
    seen = {model for row in ROWS for model in row["models"].split()}
    assert len(seen) > 50
    assert seen == set(credited)


# ---------------------------------------------------------------- stills
@pytest.mark.parametrize("row", STILLS, ids=_named)
def test_still_decodes_at_camera_size_and_shows_something(row: dict[str, str]) -> None:
    picture = _still(row)
    assert picture.shape == (catalogue.HEIGHT_PX, catalogue.WIDTH_PX, 3)
    luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    assert 20 < luma.mean() < 200
    assert luma.std() > 20
    assert b"Exif" not in (SAMPLES / row["path"]).read_bytes()[:4096]


@pytest.mark.parametrize("row", STILLS, ids=_named)
def test_still_is_grey_exactly_when_it_is_infrared(row: dict[str, str]) -> None:
    picture = _still(row).astype(int)
    colour = np.abs(picture - picture.mean(2, keepdims=True)).mean()
    if "ir" in row["flags"].split():
        assert colour < 1
    else:
        assert colour > 2


def _thumbnail(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (32, 18), interpolation=cv2.INTER_AREA)
    flat = gray.astype(np.float64).ravel()
    flat -= flat.mean()
    return np.asarray(flat / np.linalg.norm(flat))


def test_no_still_is_nearly_one_of_the_other_label() -> None:
    thumbs = {row["path"]: _thumbnail(_still(row)) for row in STILLS}
    labels = {row["path"]: row["label"] for row in STILLS}
    for a, b in itertools.combinations(thumbs, 2):
        if labels[a] != labels[b]:
            assert thumbs[a] @ thumbs[b] < SAME_PICTURE, f"{a} and {b}"


def test_near_duplicate_measure_finds_the_same_view_compressed_anew() -> None:
    picture = _still(STILLS[0])
    ok, blob = cv2.imencode(".jpg", picture[4:-4, 4:-4], [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert ok
    again = np.asarray(cv2.imdecode(blob, cv2.IMREAD_COLOR), np.uint8)
    assert _thumbnail(picture) @ _thumbnail(again) > SAME_PICTURE


# ---------------------------------------------------------------- clips
@pytest.mark.parametrize("row", CLIPS, ids=_named)
def test_clip_is_h264_of_a_few_seconds_with_the_stated_gop(
    row: dict[str, str], decoded: dict[str, Clip]
) -> None:
    clip, stated = decoded[row["path"]], VIEWS[row["path"]].clip
    assert stated is not None
    assert clip.codec == "h264"
    assert clip.rgb.shape[1:] == (catalogue.HEIGHT_PX, catalogue.WIDTH_PX, 3)
    assert len(clip.rgb) == round(stated.seconds * catalogue.FPS)
    assert 3 <= clip.times_s[-1] <= 10
    assert not clip.reordered, "cameras send no B-frames"
    keys_s = [t for t, key in zip(clip.times_s, clip.key, strict=True) if key]
    assert keys_s[0] == 0
    assert stated.gop_s in (1, 2)
    assert np.diff(keys_s) == pytest.approx(stated.gop_s, abs=1e-6)


@pytest.mark.parametrize("row", CLIPS, ids=_named)
def test_clip_shows_a_fixed_noisy_view_in_which_something_moves(
    row: dict[str, str], decoded: dict[str, Clip]
) -> None:
    gray = decoded[row["path"]].gray.astype(np.float32)
    noise = [float(np.abs(a - b).mean()) for a, b in itertools.pairwise(gray)]
    assert min(noise) > 0.2, "two frames are the same: no sensor noise"
    inner = slice(40, -40)  # without the OSD
    smooth = np.stack([cv2.blur(f, (15, 15))[inner] for f in gray])
    still = np.median(smooth, 0)
    share = (np.abs(smooth - still) > 12).mean((1, 2))
    assert share.max() > 0.002, "nothing moves"
    assert share.max() < 0.4, "the camera moves"
    assert np.abs(np.median(smooth[:8], 0) - still).mean() < 6, "the view drifts"


@pytest.mark.parametrize("row", CLIPS, ids=_named)
def test_clip_clock_ticks_with_the_video(row: dict[str, str], decoded: dict[str, Clip]) -> None:
    clip, osd = decoded[row["path"]], VIEWS[row["path"]].osd
    offsets_s = range(-3, 4)
    for i in (0, len(clip.rgb) // 2, len(clip.rgb) - 1):
        scene = cv2.medianBlur(clip.rgb[i], 41)  # wipes the thin strokes of the text
        drawn = np.stack(
            [camera.overlay(scene.copy(), osd, clip.times_s[i] + s)[..., 1] for s in offsets_s]
        ).astype(np.float64)
        digits = np.ptp(drawn, 0) > 0  # the pixels that tell one second from another
        assert digits.sum() > 20
        shown = clip.rgb[i][..., 1][digits]
        likeness = [float(np.corrcoef(shown, d[digits])[0, 1]) for d in drawn]
        assert offsets_s[int(np.argmax(likeness))] == 0, f"frame {i} shows another time"
        assert max(likeness) > 0.8


@pytest.mark.parametrize("row", CLIPS, ids=_named)
def test_clip_is_grey_exactly_when_it_is_infrared(row: dict[str, str], decoded: dict[str, Clip]) -> None:
    first = decoded[row["path"]].rgb[0].astype(int)
    colour = np.abs(first - first.mean(2, keepdims=True)).mean()
    assert (colour < 1) == ("ir" in row["flags"].split())
