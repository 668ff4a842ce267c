"""The wheel is complete: what it installs judges pictures without the repository around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree and unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = folder.glob("scenecheck-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_package_model_and_contracts_and_nothing_else(unpacked: Path) -> None:
    for name in (
        "py.typed",
        "models/scenecheck.json",
        "models/scenecheck.onnx",
        "json_schemas/check-1.json",
        "templates/evaluation.html.j2",
        "templates/page.html.j2",
        "store/migrations/env.py",
        "store/migrations/versions/0001_audit.py",
    ):
        assert (unpacked / "scenecheck" / name).is_file(), name
    top = {p.name for p in unpacked.iterdir() if not p.name.endswith(".dist-info")}
    assert top == {"scenecheck"}


def test_installed_package_judges_with_its_own_model(
    unpacked: Path, tmp_path: Path, samples_dir: Path
) -> None:
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    check = [sys.executable, "-m", "scenecheck", "check", "--json", str(samples_dir / "junction-1.jpg")]
    done = subprocess.run(
        check, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(done.stdout)["verdict"] == "street"
    where = [sys.executable, "-c", "from scenecheck.card import bundled_model; print(bundled_model())"]
    done = subprocess.run(
        where, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=True
    )
    assert Path(done.stdout.strip()) == unpacked / "scenecheck" / "models" / "scenecheck.json"
