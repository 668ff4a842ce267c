"""`scenecheck eval` as CI meets it: exit codes, one line for each mistake, files whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from scenecheck import cli
from scenecheck.schemas import SCHEMA_FOLDER
from tests.cameras import write_cameras, write_model


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``scenecheck eval`` in this process, up to and with its exit."""

    def run_eval(*arguments: str | Path) -> Done:
        monkeypatch.delenv("SCENECHECK_DEBUG", raising=False)
        monkeypatch.setattr(sys, "argv", ["scenecheck", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Done(int(left.value.code or 0), captured.out, captured.err)

    return run_eval


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cameras(tmp_path_factory.mktemp("cameras"))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose border crept up: the cellar is a street to it."""
    return write_model(tmp_path_factory.mktemp("worse"), border=165.0, version="2")


@pytest.fixture
def baseline(run: Run, cameras: Path, good: Path, tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    done = run(cameras, "--model", good, "--baseline", path, "--update-baseline", "first model")
    assert (done.code, done.err) == (0, f"scenecheck: {path}: written\n")
    assert json.loads(path.read_text())["reason"] == "first model"
    return path


def facts(text: str) -> list[tuple[str, str]]:
    return [(name, fact) for name, _, fact in (line.partition("\t") for line in text.splitlines())]


def test_eval_when_piped_then_prints_a_fact_a_line_and_what_a_zero_proves(
    run: Run, cameras: Path, good: Path
) -> None:
    done = run(cameras, "--model", good)
    assert (done.code, done.err) == (0, "")
    found = dict(reversed(facts(done.out)))
    assert found["judged"] == "20 frames of 10 cameras: 10 frames of 5 rooms, 10 of 5 streets"
    assert found["missed"] == "0 of 5 rooms called street, which proves ≤ 45.1%"
    assert found["AUROC"].startswith("1.0000 ")
    assert ("frames", "fit to judge: streets: 10 street, 0 indoor, 0 unknown; rooms: 0 street, 10 indoor, 0 unknown") \
        in facts(done.out)  # fmt: skip
    assert "pictures/s" in found["speed"]


def test_eval_json_when_asked_then_keeps_to_the_published_schema_and_the_contracts_keys(
    run: Run, cameras: Path, good: Path, worse: Path, baseline: Path
) -> None:
    schema = json.loads((SCHEMA_FOLDER / "eval-1.json").read_text())
    for model, code in ((good, 0), (worse, 1)):
        done = run(cameras, "--model", model, "--baseline", baseline, "--json")
        assert (done.code, done.err) == (code, "")
        found = json.loads(done.out)
        jsonschema.validate(found, schema)
        assert found["schema"] == "scenecheck/eval/1"
        assert found["n"]["frames"] == 20
        assert found["frames"]["recall_at_fpr"].keys() == {"0.005", "0.01"}
        assert found["slices"].keys() == {"day", "night"}
        assert found["speed"]["bare_pictures_per_s"] > 0
    assert found["groups"]["indoor"]["missed"] == ["cellar"]
    missed = next(r for r in found["regressions"] if r["what"] == "missed")
    assert (missed["old"], missed["new"], missed["names"]) == (0, 1, ["cellar"])
    assert {f["group"] for f in found["baseline"]["flips"]} >= {"cellar"}


def test_eval_when_the_model_got_worse_then_exits_1_and_names_rooms_with_both_scores(
    run: Run, cameras: Path, worse: Path, baseline: Path
) -> None:
    before = baseline.read_bytes()
    done = run(cameras, "--model", worse, "--baseline", baseline)
    assert done.code == 1
    (missed,) = [fact for name, fact in facts(done.out) if name == "WORSE" and "called street" in fact]
    assert missed.startswith("1 rooms are called street and were not before: cellar (")
    assert "indoor before" in missed
    assert ("baseline", "brightness 1: first model") in facts(done.out)
    assert any(name == "flip" and "indoor/cellar/0.png (cellar)" in fact for name, fact in facts(done.out))
    assert baseline.read_bytes() == before


def test_eval_when_nothing_got_worse_then_exits_0_and_says_so(
    run: Run, cameras: Path, good: Path, baseline: Path
) -> None:
    done = run(cameras, "--model", good, "--baseline", baseline)
    assert done.code == 0
    assert facts(done.out)[-1] == ("same", "nothing got worse than tolerated")


def test_eval_when_a_policy_tolerates_it_then_exits_0(
    run: Run, cameras: Path, worse: Path, baseline: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        "newly_missed = 1\nrecall_drop = 1.0\nunknown_rise = 1.0\nece_rise = 1.0\nlatency_ratio = 9\n"
    )
    done = run(cameras, "--model", worse, "--baseline", baseline, "--policy", policy)
    assert done.code == 0, done.out


def test_eval_when_the_baseline_is_updated_then_the_worse_model_is_the_new_measure(
    run: Run, cameras: Path, worse: Path, baseline: Path
) -> None:
    assert run(cameras, "--model", worse, "--baseline", baseline, "--update-baseline", "agreed").code == 0
    assert json.loads(baseline.read_text())["reason"] == "agreed"
    assert run(cameras, "--model", worse, "--baseline", baseline).code == 0


def test_eval_when_the_manifest_has_mistakes_then_each_has_its_line_and_nothing_is_written(
    run: Run, cameras: Path, good: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "cameras.csv"
    manifest.write_text("path,label,group\nx.jpg,street,a\ny.jpg,inside,\n")
    outputs = [tmp_path / name for name in ("b.json", "e.html", "e.xml")]
    done = run(
        manifest, "--model", good, "--baseline", outputs[0], "--update-baseline", "x", "--html", outputs[1],
        "--junit", outputs[2],
    )  # fmt: skip
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert lines[:-1] == [
        f"scenecheck: {manifest}:2 path: no such file: x.jpg",
        f"scenecheck: {manifest}:3 group: empty",
        f"scenecheck: {manifest}:3 label: expected street or indoor, got 'inside'",
        f"scenecheck: {manifest}:3 path: no such file: y.jpg",
    ]
    assert lines[-1].startswith(
        f"scenecheck: bad-manifest: {manifest}:2 path: no such file: x.jpg (and 3 more) (try: "
    )
    assert list(tmp_path.iterdir()) == [manifest]


def test_eval_when_a_picture_breaks_off_then_exits_2_and_the_baseline_stays(
    run: Run, good: Path, tmp_path: Path
) -> None:
    manifest = write_cameras(tmp_path)
    path = tmp_path / "b.json"
    run(manifest, "--model", good, "--baseline", path, "--update-baseline", "first")
    before = path.read_bytes()
    picture = tmp_path / "indoor" / "cellar" / "1.png"
    picture.write_bytes(picture.read_bytes()[:3000])
    done = run(manifest, "--model", good, "--baseline", path, "--update-baseline", "second")
    assert done.code == 2
    with manifest.open() as f:
        line = next(i for i, row in enumerate(csv.reader(f), 1) if row[0] == "indoor/cellar/1.png")
    assert f"bad-manifest: {manifest}:{line} path: picture-damaged: indoor/cellar/1.png" in done.err
    assert done.err.count("\n") == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ([], 2, "Missing argument 'MANIFEST'"),
        (["{tmp}/none.csv"], 2, "no-such-manifest: {tmp}/none.csv: No such file"),
        (["{cameras}", "--baseline", "{tmp}/none.json"], 2, "bad-baseline: {tmp}/none.json: No such file"),
        (["{cameras}", "--update-baseline", "why"], 2, "--update-baseline: say which file"),
        (["{cameras}", "--baseline", "{tmp}/b.json", "--update-baseline", " "], 2, "a reason is needed"),
        (["{cameras}", "--policy", "{tmp}/p.toml"], 2, "--policy: there is nothing to compare with"),
        (["{cameras}", "--html", "{tmp}/none/e.html"], 2, "{tmp}/none does not exist"),
        (["{cameras}", "--cache", "{cameras}"], 2, "is a file"),
        (["{cameras}", "--provider", "abacus"], 2, "--provider abacus"),
        (["{cameras}", "--model", "{tmp}/none.json"], 4, "model-missing: {tmp}/none.json"),
    ],
)
def test_eval_when_called_wrongly_then_says_how_in_one_line(
    run: Run, cameras: Path, good: Path, tmp_path: Path, arguments: list[str], code: int, what: str
) -> None:
    given = [a.format(tmp=tmp_path, cameras=cameras) for a in arguments]
    if "--model" not in given:
        given += ["--model", str(good)]
    done = run(*given)
    assert (done.code, done.out) == (code, "")
    assert what.format(tmp=tmp_path) in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_eval_when_the_baseline_is_of_another_manifest_then_exits_2(
    run: Run, cameras: Path, good: Path, baseline: Path, tmp_path: Path
) -> None:
    manifest = write_cameras(tmp_path / "other")
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    done = run(manifest, "--model", good, "--baseline", baseline)
    assert (done.code, done.out) == (2, "")
    assert (
        "bad-baseline: the baseline is of another manifest: cameras.csv with 20 rows in 10 groups" in done.err
    )


def test_eval_when_the_model_is_not_what_its_card_says_then_exits_4(
    run: Run, cameras: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path)
    card = json.loads(model.read_text())
    onnx = model.parent / card["file"]
    onnx.write_bytes(onnx.read_bytes()[:-20])
    done = run(cameras, "--model", model)
    assert (done.code, done.out) == (4, "")
    assert "model-hash" in done.err


def test_eval_when_reports_are_asked_for_then_writes_them_whole(
    run: Run, cameras: Path, worse: Path, baseline: Path, tmp_path: Path
) -> None:
    page, junit = tmp_path / "e.html", tmp_path / "e.xml"
    done = run(cameras, "--model", worse, "--baseline", baseline, "--html", page, "--junit", junit)
    assert done.code == 1
    assert "cellar" in page.read_text()
    assert "were not before" in junit.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["baseline.json", "e.html", "e.xml"]


def test_eval_when_cached_then_says_how_many_frames_it_did_not_judge_again(
    run: Run, cameras: Path, good: Path, tmp_path: Path
) -> None:
    for n_cached in (0, 20):
        done = run(cameras, "--model", good, "--cache", tmp_path / "cache", "--json")
        assert json.loads(done.out)["speed"]["n_cached"] == n_cached


def test_eval_when_somebody_watches_then_shows_a_bar_on_stderr_and_a_table(cameras: Path, good: Path) -> None:
    """A real terminal: stdout and stderr are one, so that the bar is seen to leave before the table comes."""
    parent, child = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    command = [sys.executable, "-m", "scenecheck", "eval", str(cameras), "--model", str(good)]
    done = subprocess.Popen(command, stdout=child, stderr=child, env=env)
    os.close(child)
    seen = b""
    try:
        while block := _read(parent):
            seen += block
        assert done.wait(60) == 0
    finally:
        done.kill()
        done.wait()
        os.close(parent)
    text = seen.decode()
    assert "judging" in text
    assert "\x1b[1mAUROC" in text
    assert text.rindex("judging") < text.index("AUROC")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the last writer has left
        return b""


def test_eval_help_when_asked_then_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scenecheck.cli import cli\ncli.main(['eval', '--help'], standalone_mode=False)\n"
        "assert not {'cv2', 'av', 'onnxruntime', 'scipy', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "scenecheck eval cameras.csv" in done.stdout
