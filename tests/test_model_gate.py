"""The bundled model is gated as its users gate theirs: by our own plugin, against the baseline of the last release.

``make baselines REASON="..."`` takes over a change that is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scenecheck.pytest_plugin import Gate

# Seconds on a machine of its own; one that trains a model beside it was seen to take minutes.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = {"samples": "samples/samples.csv", "cctv": "../shared/data/cctv/manifest.csv"}
GOLDEN = "tests/golden/eval"


def gates() -> Iterator[object]:
    for data, manifest in MANIFESTS.items():
        there = (ROOT / manifest).is_file()
        for precision in ("fp32", "int8"):
            marks = [
                pytest.mark.skipif(not there, reason=f"no pictures beside the repository ({manifest})"),
                pytest.mark.scenecheck(
                    manifest,
                    baseline=f"{GOLDEN}/{data}-{precision}.json",
                    policy=f"{GOLDEN}/policy.toml",
                    precision=precision,
                ),
            ]
            if data == "cctv":
                marks.append(pytest.mark.slow)
            yield pytest.param(precision, marks=marks, id=f"{data}-{precision}")


@pytest.mark.parametrize("precision", list(gates()))
def test_bundled_model_when_compared_with_its_baseline_is_no_worse(
    precision: str, scenecheck_gate: Gate
) -> None:
    assert scenecheck_gate.evaluation.model.precision == precision
    scenecheck_gate.check()
