"""From files to judged examples: the product's own answers, on every core, kept between runs."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenecheck.adapter import Model, open_model
from scenecheck.classifier import MAX_BATCH, Classifier
from scenecheck.errors import UsageError
from scenecheck.evaluation import scoring
from scenecheck.evaluation.cache import FILE_NAME, ScoreCache, recipe_of
from scenecheck.evaluation.evaluate import evaluate
from scenecheck.evaluation.manifest import Example, ManifestError, read_manifest
from scenecheck.pipeline import check
from scenecheck.types import Condition, Label, Scores
from tests.cameras import write_cameras, write_model
from training import prepare


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cameras(tmp_path_factory.mktemp("cameras"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with open_model(write_model(tmp_path_factory.mktemp("model")), threads=1) as opened:
        yield opened


class Counting:
    """A model that counts what it is asked, and may be told to refuse."""

    def __init__(self, model: Model, *, may_score: bool = True) -> None:
        self._model, self._may_score = model, may_score
        self.n_tiles: list[int] = []
        self.card, self.provider, self.threads = model.card, model.provider, model.threads
        self.precision = model.precision

    def score(self, tiles: np.ndarray) -> Scores:
        assert self._may_score, "nothing should be left to score"
        self.n_tiles.append(len(tiles))
        return self._model.score(tiles)


def test_examples_when_judged_in_batches_then_are_what_check_says_of_each(
    samples_dir: Path, tmp_path: Path
) -> None:
    """Every sample, clips included: label, reason, and each frame's time, score and conditions; cached too."""
    manifest = read_manifest(samples_dir / "samples.csv")
    with (
        Classifier(threads=1) as classifier,
        ScoreCache(tmp_path, recipe_of(classifier, frames=scoring.CLIP_FRAMES)) as cache,
    ):
        scored = scoring.score(manifest, classifier, workers=2, cache=cache)
        warm = scoring.score(manifest, Counting(classifier, may_score=False), workers=2, cache=cache)
        assert warm.examples == scored.examples
        for judged in scored.examples:
            alone = check(judged.example.file, classifier=classifier)
            assert alone.error is None
            assert judged.verdict == alone.verdict, judged.example.path
    assert sum(len(j.sightings) for j in scored.examples) > len(scored.examples)  # clips bring several


def test_score_when_workers_differ_then_nothing_else_does(cameras: Path, model: Model) -> None:
    manifest = read_manifest(cameras)
    one, many = (scoring.score(manifest, model, workers=n) for n in (1, 3))
    assert one.examples == many.examples
    assert one.pictures_sha256 == many.pictures_sha256
    assert [j.example.path for j in one.examples] == [e.path for e in manifest.examples]


def test_score_when_much_is_left_then_batches_are_full(cameras: Path, tmp_path: Path, model: Model) -> None:
    counting = Counting(model)
    scoring.score(read_manifest(many_stills(cameras, tmp_path, 3 * MAX_BATCH + 5)), counting, workers=2)
    assert sorted(counting.n_tiles) == [5, *[MAX_BATCH] * 3]


def many_stills(cameras: Path, folder: Path, n: int) -> Path:
    """A manifest of ``n`` different files."""
    rows = ["path,label,group"]
    examples = read_manifest(cameras).examples
    for i in range(n):
        example = examples[i % len(examples)]
        (folder / f"{i}.png").write_bytes(example.file.read_bytes() + i.to_bytes(4, "little"))
        rows.append(f"{i}.png,{example.label.value},{example.group}")
    path = folder / "many.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_pictures_when_nobody_takes_the_results_then_only_a_few_batches_are_under_way() -> None:
    examples = [Example(i, str(i), Path(str(i)), Label.STREET, "g") for i in range(40 * MAX_BATCH)]
    started: list[int] = []
    lock = threading.Lock()

    def worker(batch: list[Example]) -> list[scoring._Result]:
        with lock:
            started.append(batch[0].line)
        return [scoring._Result(b"", (), is_cached=False) for _ in batch]

    results = scoring._in_parallel(worker, examples, 3)  # type: ignore[arg-type]
    next(results)
    deadline = time.monotonic() + 5
    while len(started) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(started) == 6
    assert len(list(results)) == len(examples) - 1
    assert len(started) == 40


def test_opencv_when_scoring_is_over_then_has_its_threads_again(cameras: Path, model: Model) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        scoring.score(read_manifest(cameras), model, workers=1)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_score_when_files_are_broken_then_names_every_one_and_keeps_the_rest(
    cameras: Path, tmp_path: Path, model: Model, samples_dir: Path
) -> None:
    shutil.copytree(cameras.parent, tmp_path / "all")
    manifest = tmp_path / "all" / cameras.name
    rows = manifest.read_text().splitlines()
    whole = (samples_dir / "junction-1.jpg").read_bytes()
    film = (samples_dir / "junction-1.mp4").read_bytes()
    broken = {
        "cut.jpg": (whole[: len(whole) // 2], "picture-damaged"),
        "text.jpg": (b"a text that calls itself a picture", "not-a-film"),
        "empty.jpg": (b"", "empty"),
        "cut.mp4": (film[: len(film) // 8], "codec-damaged"),
    }
    for name, (data, _) in broken.items():
        (manifest.parent / name).write_bytes(data)
        rows.append(f"{name},street,{name},day")
    manifest.write_text("\n".join(rows) + "\n")
    with pytest.raises(ManifestError) as caught:
        evaluate(manifest, model, cache=tmp_path / "cache")
    problems = caught.value.problems
    assert [p.line for p in problems] == [len(rows) - 3, len(rows) - 2, len(rows) - 1, len(rows)]
    for problem, (name, (_, code)) in zip(problems, broken.items(), strict=True):
        assert problem.column == "path"
        assert name in problem.what
        assert problem.what.startswith(code), problem.what
    assert caught.value.exit_code == 2
    again = Counting(model, may_score=False)
    with ScoreCache(tmp_path / "cache", recipe_of(model, frames=scoring.CLIP_FRAMES)) as cache:
        done = scoring.score(read_manifest(cameras), again, workers=1, cache=cache)
    assert done.n_cached == len(done.examples)


def test_evaluate_when_a_picture_is_black_then_is_a_condition_and_no_answer(
    cameras: Path, tmp_path: Path, model: Model
) -> None:
    shutil.copytree(cameras.parent, tmp_path / "all")
    manifest = tmp_path / "all" / cameras.name
    cv2.imwrite(str(manifest.parent / "black.png"), np.zeros((180, 320, 3), np.uint8))
    manifest.write_text(manifest.read_text() + "black.png,indoor,covered,night\n")
    found = evaluate(manifest, model)
    assert found.conditions["dark"].indoor.unknown == 1
    assert found.conditions["none"].indoor.indoor > 0
    assert "covered" in found.groups.indoor.unknown
    black = next(j for j in found.examples if j.example.group == "covered")
    assert Condition.DARK in black.sightings[0].conditions


def test_evaluate_when_a_house_has_rooms_and_a_front_then_each_is_judged_for_itself(
    cameras: Path, tmp_path: Path, model: Model
) -> None:
    shutil.copytree(cameras.parent, tmp_path / "all")
    manifest = tmp_path / "all" / cameras.name
    text = manifest.read_text().replace(",room-0,", ",house,").replace(",street-0,", ",house,")
    manifest.write_text(text)
    found = evaluate(manifest, model)
    house = [g for g in found.judged_groups if g.name == "house"]
    assert [(g.label, g.verdict.label) for g in house] == [
        (Label.INDOOR, Label.INDOOR),
        (Label.STREET, Label.STREET),
    ]
    assert found.n.groups == len(found.judged_groups) == 10


@pytest.mark.slow
def test_evaluate_when_the_cctv_set_is_there_then_gives_the_model_cards_own_figures(
    shared_data: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "kept-apart.csv"  # the cameras that no shipped net learns from
    prepare.write_kept_apart(shared_data / "cctv" / "manifest.csv", manifest)
    with Classifier(threads=1) as classifier:
        found = evaluate(manifest, classifier)
    stated = next(
        f
        for f in classifier.card.figures.values()
        if isinstance(f, dict) and f.get("frames") == found.n.frames and "cameras" in f
    )
    assert found.frames.auroc == stated["auroc"]
    assert list(found.frames.auroc_ci) == stated["auroc_ci"]
    for fpr, recall in stated["recall_at_fpr"].items():
        assert found.frames.recall_at_fpr[fpr] == recall["value"]
        assert list(found.frames.recall_at_fpr_ci[fpr]) == recall["ci"]
    assert found.calibration.ece == stated["ece"]
    rooms, streets = found.groups.indoor, found.groups.street
    assert stated["cameras"] == {
        "rooms": rooms.n,
        "missed": len(rooms.missed),
        "streets": streets.n,
        "flagged": len(streets.flagged),
        "unknown": len(rooms.unknown) + len(streets.unknown),
    }


# --- the cache --------------------------------------------------------------------------------------------


def test_cache_when_warm_then_nothing_is_scored_and_nothing_differs(
    cameras: Path, tmp_path: Path, model: Model
) -> None:
    manifest, recipe = read_manifest(cameras), recipe_of(model, frames=scoring.CLIP_FRAMES)
    with ScoreCache(tmp_path / "new" / "cache", recipe) as cache:
        cold = scoring.score(manifest, model, workers=2, cache=cache)
    with ScoreCache(tmp_path / "new" / "cache", recipe) as cache:
        warm = scoring.score(manifest, Counting(model, may_score=False), workers=2, cache=cache)
    assert (cold.n_cached, warm.n_cached) == (0, len(warm.examples))
    assert warm.examples == cold.examples
    assert warm.pictures_sha256 == cold.pictures_sha256


def test_recipe_when_anything_that_decides_a_score_changes_then_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recipe(path: Path) -> str:
        with open_model(path, threads=1) as opened:
            return recipe_of(opened, frames=5)

    model = write_model(tmp_path, "a")
    first = recipe(model)
    assert recipe(model) == first
    assert recipe(write_model(tmp_path, "b", border=126.0)) != first
    card = model.read_text()
    model.write_text(card.replace('"version": "1"', '"version": "2"'))
    assert recipe(model) != first
    model.write_text(card)
    changed = tmp_path / "preprocess.py"
    changed.write_text("# a changed line")
    monkeypatch.setattr("scenecheck.preprocess.__file__", str(changed))
    assert recipe(model) != first


def test_cache_when_a_picture_changes_then_only_it_is_scored_anew(
    cameras: Path, tmp_path: Path, model: Model
) -> None:
    shutil.copytree(cameras.parent, tmp_path / "all")
    manifest = read_manifest(tmp_path / "all" / cameras.name)
    counting = Counting(model)
    with ScoreCache(tmp_path / "cache", recipe_of(model, frames=5)) as cache:
        scoring.score(manifest, model, workers=1, cache=cache)
        shutil.copy(manifest.examples[0].file, manifest.examples[-1].file)  # known under another name
        picture = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
        cv2.imwrite(str(manifest.examples[3].file), picture)
        found = scoring.score(manifest, counting, workers=1, cache=cache)
    assert counting.n_tiles == [1]
    assert found.n_cached == len(found.examples) - 1


@pytest.mark.parametrize("spoil", ["text", "version", "file"])
def test_cache_when_it_is_none_then_is_a_usage_error(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "cache"
    if spoil == "file":
        folder.write_text("no folder")
    else:
        folder.mkdir()
        if spoil == "text":
            (folder / FILE_NAME).write_text("no database " * 1000)
        else:
            with sqlite3.connect(folder / FILE_NAME) as db:
                db.execute("PRAGMA user_version = 9")
            db.close()
    with pytest.raises(UsageError) as caught:
        ScoreCache(folder, "0" * 64)
    assert caught.value.code == "bad-cache"
    assert str(folder) in str(caught.value)


def test_cache_when_it_breaks_on_the_way_then_the_run_goes_on_and_says_so(
    cameras: Path, tmp_path: Path, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    manifest, recipe = read_manifest(cameras), recipe_of(model, frames=5)
    with ScoreCache(tmp_path, recipe) as cache:
        scoring.score(manifest, model, workers=1, cache=cache)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE scores SET frames = '{broken'")
    db.close()
    with caplog.at_level(logging.WARNING), ScoreCache(tmp_path, recipe) as cache:
        found = scoring.score(manifest, model, workers=1, cache=cache)
    assert found.n_cached == 0
    assert len(found.examples) == len(manifest.examples)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "going on without the cache" in caplog.text


SLOW_RUN = """
import sys, time
from pathlib import Path
from scenecheck.adapter import open_model
from scenecheck.evaluation.evaluate import evaluate

with open_model(Path(sys.argv[2]), threads=1) as model:
    score = model.score
    model.score = lambda tiles: (time.sleep(0.2), score(tiles))[1]
    evaluate(Path(sys.argv[1]), model, workers=1, cache=Path(sys.argv[3]))
"""


def test_cache_when_the_run_is_killed_then_the_next_one_goes_on_where_it_was(
    cameras: Path, tmp_path: Path, model: Model
) -> None:
    manifest = many_stills(cameras, tmp_path, 8 * MAX_BATCH)
    cache = tmp_path / "cache"
    run = subprocess.Popen([sys.executable, "-c", SLOW_RUN, manifest, model.path, cache])
    try:
        deadline = time.monotonic() + 30
        while stored(cache) < 2 * MAX_BATCH and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait(10)
    n_stored = stored(cache)
    assert 2 * MAX_BATCH <= n_stored < 8 * MAX_BATCH
    assert n_stored % MAX_BATCH == 0  # whole batches
    found = evaluate(manifest, model, cache=cache)
    assert found.speed.n_cached == n_stored
    assert found.n.examples == 8 * MAX_BATCH


def stored(cache: Path) -> int:
    if not (cache / FILE_NAME).is_file():
        return 0
    db = sqlite3.connect(cache / FILE_NAME, timeout=5)
    try:
        return int(db.execute("SELECT count(*) FROM scores").fetchone()[0])
    except sqlite3.OperationalError:  # the table is not there yet
        return 0
    finally:
        db.close()
