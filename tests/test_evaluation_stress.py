"""A corrupted picture depends on seed, path and corruption alone; the report says what it does to a model."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenecheck.adapter import open_model
from scenecheck.classifier import Classifier
from scenecheck.errors import UsageError
from scenecheck.evaluation import stress
from scenecheck.evaluation.manifest import Example, Manifest
from scenecheck.types import Label
from tests.adapters import brightness_card
from tests.models import make_tiny_model

ROOT = Path(__file__).resolve().parent.parent


def _manifest(folder: Path, names: list[str]) -> Manifest:
    return Manifest(
        folder / "manifest.csv",
        tuple(
            Example(
                line=i + 2,
                path=name,
                file=folder / name,
                label=Label.INDOOR if "room" in name else Label.STREET,
                group=name.split("-")[0],
            )
            for i, name in enumerate(names)
        ),
    )


@pytest.fixture
def pictures(tmp_path: Path) -> Manifest:
    """Two rooms and two streets, of which one has two pictures; smooth, so that noise shows."""
    names = ["room1-a.png", "street1-a.png", "street1-b.png", "room2-a.png", "street2-a.png"]
    rng = np.random.default_rng(4)
    for name in names:
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (480, 270), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(tmp_path / name), picture)
    return _manifest(tmp_path, names)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return make_tiny_model(folder).card_path


NAMES = ("sensor_noise", "overlay", "occlusion", "looks_like_cctv")


def test_stress_when_order_and_company_change_then_each_figure_is_the_same_to_the_bit(
    pictures: Manifest, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = Manifest(pictures.path, pictures.examples[::-1])
    with Classifier(tiny, threads=1) as classifier:
        one = stress.stress(pictures, classifier, names=NAMES, per_group=9, workers=1)
        monkeypatch.setattr(stress, "_CHUNK", 2)
        other = stress.stress(backwards, classifier, names=NAMES[::-1], per_group=9, workers=3)
        another = stress.stress(pictures, classifier, names=NAMES[1:2], severities=(1.0,), per_group=9)
        reseeded = stress.stress(pictures, classifier, names=NAMES, per_group=9, seed=8)
    assert {n: _sorted(c) for n, c in one.corruptions.items()} == {
        n: _sorted(c) for n, c in other.corruptions.items()
    }
    assert another.corruptions["overlay"] == one.corruptions["overlay"][2:]
    assert reseeded.corruptions != one.corruptions
    assert reseeded.clean_auroc == one.clean_auroc


def _sorted(cells: list[stress.StressCell]) -> list[dict[str, object]]:
    return [{k: sorted(v) if isinstance(v, list) else v for k, v in c.model_dump().items()} for c in cells]


def test_stress_when_a_model_looks_at_brightness_then_the_table_says_what_that_costs(tmp_path: Path) -> None:
    """Rooms bright, streets dark: too much light turns streets into rooms, too little rooms into streets."""
    levels = {"room1.png": 190, "room2.png": 180, "street1.png": 60, "street2.png": 70}
    texture = 40 * (1 - 2 * (np.indices((360, 640)).sum(axis=0) // 24 % 2))[..., None]  # stripes
    for name, level in levels.items():
        picture = np.clip(level + np.repeat(texture, 3, axis=2), 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / name), picture)
    manifest = _manifest(tmp_path, list(levels))
    told: list[tuple[int, int]] = []
    with open_model(brightness_card(tmp_path / "model")) as model:
        report = stress.stress(
            manifest,
            model,
            names=("overexposure", "darkness", "upside_down"),
            severities=(0.0, 1.0),
            progress=lambda done, total: told.append((done, total)),
        )
    assert report.clean_auroc == 1.0
    assert (report.frames, report.indoor_frames, report.of_examples) == (4, 2, 4)
    bright, dark = report.corruptions["overexposure"][1], report.corruptions["darkness"][1]
    assert set(bright.flagged) == {"street1.png", "street2.png"}
    assert bright.shift_street > 0.5 > abs(bright.shift_indoor)
    assert bright.missed == dark.flagged == []
    assert dark.shift_indoor < -0.5
    assert set(dark.missed) | set(dark.unknown) >= {"room1.png", "room2.png"}
    for cell in report.corruptions["upside_down"]:
        assert (cell.auroc, cell.shift_street, cell.shift_indoor) == (1.0, 0.0, 0.0)
        assert cell.missed == cell.flagged == cell.unknown == []
    assert told[-1] == (28, 28)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    head, *body = stress.rows(report)
    assert head == ["corruption", "severity 0", "severity 1"]
    assert "2 flagged" in body[0][2]
    assert "missed" in body[1][2] or "unknown" in body[1][2]
    assert stress.markdown(report).splitlines()[-1] == f"| {' | '.join(body[2])} |"


def test_stress_when_a_name_or_severity_is_wrong_then_it_says_what_is_allowed(
    pictures: Manifest, tiny: Path
) -> None:
    with Classifier(tiny, threads=1) as classifier:
        with pytest.raises(UsageError, match=r"corruption snow: expected one of .*fog"):
            stress.stress(pictures, classifier, names=("snow",))
        with pytest.raises(UsageError, match=r"severity 1\.5: expected 0 to 1"):
            stress.stress(pictures, classifier, severities=(1.5,))


@pytest.mark.parametrize(
    ("per_group", "max_pictures", "expected"),
    [
        (1, 99, ["room1-a", "room2-a", "street1-b", "street2-a"]),
        (2, 99, ["room1-a", "room2-a", "street1-a", "street1-b", "street2-a"]),
        (1, 2, ["room2-a", "street2-a"]),
        (1, 1, ["room2-a", "street2-a"]),
    ],
)
def test_sample_when_there_are_more_pictures_than_asked_for_then_both_labels_stay(
    pictures: Manifest, per_group: int, max_pictures: int, expected: list[str]
) -> None:
    chosen = stress.sample(pictures.examples, per_group=per_group, max_pictures=max_pictures)
    assert sorted(Path(e.path).stem for e in chosen) == expected


def test_stress_when_a_row_is_a_clip_then_its_first_frame_is_judged(tiny: Path, samples_dir: Path) -> None:
    manifest = Manifest(
        samples_dir / "samples.csv",
        (
            Example(2, "corridor-1.mp4", samples_dir / "corridor-1.mp4", Label.INDOOR, "corridor"),
            Example(3, "junction-1.mp4", samples_dir / "junction-1.mp4", Label.STREET, "junction"),
        ),
    )
    with Classifier(tiny, threads=1) as classifier:
        report = stress.stress(manifest, classifier, names=("upside_down",), severities=(1.0,))
    assert report.frames == 2


@pytest.mark.slow
def test_stress_when_the_bundled_model_sees_every_corruption_on_the_samples_then_it_holds_at_mild_ones(
    samples_dir: Path,
) -> None:
    names = sorted(p.name for p in samples_dir.glob("*.jpg"))
    with (samples_dir / "samples.csv").open(newline="", encoding="utf-8") as f:
        listed = {r["path"]: r for r in csv.DictReader(f)}
    manifest = Manifest(
        samples_dir / "samples.csv",
        tuple(Example(2, n, samples_dir / n, Label(listed[n]["label"]), listed[n]["group"]) for n in names),
    )
    with Classifier(threads=1) as classifier:
        report = stress.stress(manifest, classifier, severities=(0.25,))
    assert set(report.corruptions) == set(stress.CORRUPTIONS)
    assert min(cells[0].auroc for cells in report.corruptions.values()) > 0.9
    assert all(cells[0].missed == [] for cells in report.corruptions.values())
