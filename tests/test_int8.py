"""int8 stands in for fp32 only where it is proven to say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenecheck.classifier import Classifier
from scenecheck.errors import ModelError, UsageError
from scenecheck.precision import MAX_INT8_SHIFT, has_vnni, int8_card_path
from scenecheck.runtime import session_options
from tests.models import TinyModel, known_tiles, make_tiny_model, tiny_onnx

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def pair(tmp_path: Path) -> tuple[TinyModel, Path]:
    """A tiny fp32 model and its "int8" sibling: the same graph under a card that says so."""
    tiny = make_tiny_model(tmp_path)
    return tiny, write_int8(tiny)


def write_int8(tiny: TinyModel, **changes: Any) -> Path:
    path = int8_card_path(tiny.card_path)
    path.with_suffix(".onnx").write_bytes(tiny.model_path.read_bytes())
    card = {
        **tiny.card,
        "name": "tiny-int8",
        "file": path.with_suffix(".onnx").name,
        "precision": "int8",
        "quantisation": {"of": tiny.card["sha256"]},
        **changes,
    }
    path.write_text(json.dumps(card))
    return path


def test_classifier_when_int8_agrees_then_it_is_used(pair: tuple[TinyModel, Path]) -> None:
    tiny, path = pair
    with Classifier(tiny.card_path, precision="int8", threads=1) as classifier:
        assert classifier.fallback is None
        assert (classifier.precision, classifier.path) == ("int8", path)
        assert classifier.model_path.name == "scenecheck-int8.onnx"
    with Classifier(tiny.card_path, threads=1) as classifier:
        assert (classifier.precision, classifier.fallback) == ("fp32", None)


def falls_back(tiny: TinyModel, caplog: pytest.LogCaptureFixture) -> str:
    with Classifier(tiny.card_path, precision="int8", threads=1) as classifier:
        assert classifier.precision == "fp32"
        assert classifier.path == tiny.card_path
        assert classifier.fallback is not None
        assert np.isfinite(classifier.score(known_tiles()).p_indoor).all()
        warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert len(warnings) == 1
        assert classifier.fallback in warnings[0]
        return classifier.fallback


def test_classifier_when_int8_is_missing_then_fp32_judges_and_says_so(
    pair: tuple[TinyModel, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tiny, path = pair
    path.unlink()
    assert "no such file" in falls_back(tiny, caplog)


def test_classifier_when_int8_bytes_are_not_the_cards_then_fp32_judges(
    pair: tuple[TinyModel, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tiny, path = pair
    path.with_suffix(".onnx").write_bytes(tiny_onnx(shift=0.001))
    assert "SHA-256" in falls_back(tiny, caplog)


def test_classifier_when_int8_is_of_another_fp32_model_then_fp32_judges(
    pair: tuple[TinyModel, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tiny, _ = pair
    write_int8(tiny, quantisation={"of": "0" * 64})
    assert "another fp32 model" in falls_back(tiny, caplog)


def test_classifier_when_the_host_computes_int8_wrongly_then_fp32_judges(
    pair: tuple[TinyModel, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saturating kernel: the graph and card are right, the logits on this host are not."""
    tiny, path = pair
    run = Classifier._run

    def saturating(self: Classifier, batch: Any) -> Any:
        logits, *rest = run(self, batch)
        return [logits + np.array([0, 1.3]) if self.path == path else logits, *rest]

    monkeypatch.setattr(Classifier, "_run", saturating)
    assert "logits" in falls_back(tiny, caplog)


def test_classifier_when_int8_answers_are_its_own_but_not_those_of_fp32_then_fp32_judges(
    pair: tuple[TinyModel, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tiny, path = pair
    card = json.loads(path.read_text())
    card["temperature"] = 100.0  # the same logits, sure of nothing
    for answer in card["known_answers"]["answers"]:
        street, indoor = answer["logits"]
        answer["p_indoor"] = 1 / (1 + np.exp(-(indoor - street) / 100.0))
    shift = max(
        abs(a["p_indoor"] - b["p_indoor"])
        for a, b in zip(card["known_answers"]["answers"], tiny.card["known_answers"]["answers"], strict=True)
    )
    assert shift > MAX_INT8_SHIFT
    path.write_text(json.dumps(card))
    assert "by fp32" in falls_back(tiny, caplog)


def test_classifier_when_fp32_is_broken_then_int8_does_not_hide_it(pair: tuple[TinyModel, Path]) -> None:
    tiny, path = pair
    path.unlink()
    tiny.model_path.write_bytes(b"spoiled")
    with pytest.raises(ModelError, match="SHA-256"):
        Classifier(tiny.card_path, precision="int8")


def test_classifier_when_the_precision_is_unknown_then_it_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fp32 or int8"):
        Classifier(make_tiny_model(tmp_path).card_path, precision="fp16")


def test_command_when_int8_is_not_taken_then_one_notice_on_stderr_and_fp32_answers(
    pair: tuple[TinyModel, Path],
) -> None:
    tiny, path = pair
    command = [sys.executable, "-m", "scenecheck", "model", "info", "--model", str(tiny.card_path)]
    command += ["--precision", "int8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "precision int8" in done.stdout
    assert done.stderr == ""
    path.unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "precision fp32" in done.stdout
    assert done.stderr.count("using fp32 instead") == 1


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512_vnni\n", True),
        ("flags : fpu avx_vnni\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("Features : fp asimd\n", False),
        (None, False),
    ],
)
def test_session_when_the_cpu_lacks_vnni_then_exact_integers_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, expected: bool
) -> None:
    (tmp_path / "proc").mkdir()
    if cpuinfo is not None:
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    assert has_vnni(tmp_path) is expected
    monkeypatch.setattr("scenecheck.runtime.has_vnni", lambda: expected)
    entry = session_options(1).get_session_config_entry("session.x64quantprecision")
    assert entry == ("0" if expected else "1")


def test_bundled_int8_when_it_lies_there_then_it_is_taken_and_sides_with_fp32() -> None:
    card = ROOT / "models" / "scenecheck.json"
    if not int8_card_path(card).is_file():
        pytest.skip("models/scenecheck-int8.json is not there: python -m training.quantize")
    with Classifier(card, threads=1) as fp32, Classifier(card, precision="int8", threads=1) as int8:
        assert int8.fallback is None
        assert int8.model_path.stat().st_size <= 6_000_000
        for a, b in zip(fp32.card.samples, int8.card.samples, strict=True):
            assert a.tile_sha256 == b.tile_sha256
            t = fp32.card.thresholds
            is_doubtful = t.street_below < a.p_indoor < t.indoor_above  # the middle of the sigmoid is steep
            assert abs(a.p_indoor - b.p_indoor) <= MAX_INT8_SHIFT * (2 if is_doubtful else 1), a.path
