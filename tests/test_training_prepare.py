"""Manifests, duplicates and folds: nothing of one group or source may stand on both sides of a split."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scenecheck.preprocess import TILE_SIZE, tiles
from scenecheck.types import Picture
from training import prepare


def _examples(rows: list[tuple[str, int, str, str]], root: Path = Path()) -> prepare.Examples:
    path, label, group, source = zip(*rows, strict=True)
    return prepare.Examples(
        root, np.array(path), np.array(label), np.array(group), np.array(source), np.array([""] * len(rows))
    )


def _many() -> prepare.Examples:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(300):
        source = int(rng.integers(20))
        rows.append((f"{i}.jpg", source % 2, f"s{source}-g{rng.integers(15)}", f"s{source}"))
    return _examples(rows)


@pytest.mark.parametrize("by_source", [False, True])
def test_folds_when_made_then_split_no_group_and_no_source(by_source: bool) -> None:
    examples = _many()
    fold = prepare.folds(examples, 3, by_source=by_source)
    assert set(fold) == {0, 1, 2}
    for column in (examples.group, *([examples.source] if by_source else [])):
        for value in np.unique(column):
            assert len(set(fold[column == value])) == 1
    assert all(len(set(examples.label[fold == k])) == 2 for k in range(3))


def test_components_when_rows_are_chained_by_any_column_then_are_one() -> None:
    part = prepare.components(["a", "a", "b", "c"], ["x", "y", "y", "z"])
    assert part[0] == part[1] == part[2] != part[3]


def test_without_duplicates_when_labels_disagree_then_keeps_neither() -> None:
    examples = _examples(
        [
            ("a", 0, "g1", "s"),
            ("b", 1, "g2", "s"),
            ("c", 1, "g3", "s"),
            ("d", 1, "g4", "s"),
            ("e", 1, "g4", "s"),
        ]
    )
    keep = prepare.without_duplicates(examples, [(0, 1), (2, 3), (3, 4)])
    assert keep.tolist() == [False, False, True, False, True]


def test_duplicates_when_a_picture_is_encoded_again_then_finds_the_pair(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(4):
        picture = cv2.resize(rng.integers(0, 256, (9, 16, 3)).astype(np.uint8), (320, 180))
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture)
    again = cv2.imread(str(tmp_path / "2.png"))
    cv2.imwrite(str(tmp_path / "4.jpg"), cv2.resize(again, (200, 120)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    rows = [(f"{i}.png", 0, str(i), "s") for i in range(4)] + [("4.jpg", 0, "4", "s")]
    assert prepare.duplicates(_examples(rows, tmp_path)) == [(2, 4)]


def test_sample_weights_when_sources_differ_in_size_then_classes_weigh_alike_and_the_large_count_less() -> (
    None
):
    rows = [(f"{i}", 0, str(i), "large") for i in range(90)] + [
        (f"{i}", 0, str(i), "small") for i in range(90, 100)
    ]
    rows += [(f"{i}", 1, str(i), "rooms") for i in range(100, 120)]
    weight = prepare.sample_weights(_examples(rows))
    assert weight.mean() == pytest.approx(1, rel=1e-5)
    assert weight[:100].sum() == pytest.approx(weight[100:].sum(), rel=1e-5)
    assert weight[95] / weight[0] == pytest.approx(3, rel=1e-5)  # root of 90 / 10


def test_read_manifest_when_columns_are_few_then_group_and_source_fall_back(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "path,label\na.jpg,indoor\nb.mp4,street\nc.png,street\nd.jpg,other\n", encoding="utf-8"
    )
    examples = prepare.read_manifest(manifest)
    assert examples.path.tolist() == ["a.jpg", "c.png"]
    assert examples.label.tolist() == [1, 0]
    assert examples.group.tolist() == ["a.jpg", "c.png"]
    manifest.write_text("path,label\nd.jpg,other\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no row is labelled"):
        prepare.read_manifest(manifest)


def test_view_when_number_is_0_then_is_the_products_tile_and_else_repeats() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8)
    plain = prepare.view(rgb, row=0, number=0, seed=0)
    product = tiles([Picture((np.ascontiguousarray(rgb[..., ::-1]),), "bgr")])[0]
    assert np.array_equal(plain, product)
    first, again, other = (prepare.view(rgb, row=4, number=n, seed=0) for n in (2, 2, 3))
    assert first.shape == (3, *TILE_SIZE)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_digest_when_a_label_changes_then_changes() -> None:
    a, b = (_examples([("a", label, "g", "s")]) for label in (0, 1))
    assert a.digest() != b.digest()
