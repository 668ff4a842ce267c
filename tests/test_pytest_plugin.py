"""The plugin in a project of somebody else: three lines, a verdict, and words that help when it fails."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scenecheck.adapter import open_model
from scenecheck.evaluation.baseline import write_baseline
from scenecheck.evaluation.evaluate import evaluate
from tests.cameras import write_cameras, write_model
from tests.models import make_tiny_model

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent

GATED = """
import pytest

@pytest.mark.scenecheck("cameras.csv", model="{model}/other.json", baseline="baseline.json")
def test_no_camera_got_worse(scenecheck_gate):
    scenecheck_gate.check()
"""


SHARED = """
import pytest

pytestmark = pytest.mark.scenecheck("cameras.csv", model="worse/other.json")
seen = []

def test_one(scenecheck_gate):
    seen.append(scenecheck_gate.evaluation)
    assert scenecheck_gate.evaluation.groups.indoor.missed == ["cellar"]
    assert scenecheck_gate.regressions == ()

def test_two(scenecheck_gate):
    assert scenecheck_gate.evaluation is seen[0]

def test_three(scenecheck_gate):
    scenecheck_gate.check()
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cameras, a model, a worse one, and the baseline of the first."""
    folder = tmp_path_factory.mktemp("repository")
    manifest = write_cameras(folder)
    write_model(folder, "worse", border=152.0, version="2")
    with open_model(write_model(folder, "model"), threads=1) as model:
        evaluation = evaluate(manifest, model, workers=1)
    assert evaluation.groups.indoor.missed == []
    assert evaluation.groups.unknown_share == 0.0
    write_baseline(evaluation, folder / "baseline.json", reason="first release")
    return folder


@pytest.fixture
def project(pytester: pytest.Pytester, repository: Path) -> pytest.Pytester:
    shutil.copytree(repository, pytester.path, dirs_exist_ok=True)
    return pytester


def run(project: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    project.makepyfile(test)
    return project.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_gate_when_the_model_is_no_worse_then_passes_and_junit_says_what_was_judged(
    project: pytest.Pytester,
) -> None:
    run(project, GATED.format(model="model"), "--junitxml=out.xml").assert_outcomes(passed=1)
    properties = {p.get("name"): p.get("value") for p in ET.parse(project.path / "out.xml").iter("property")}
    assert properties["scenecheck_model"] == "brightness 1"
    assert properties["scenecheck_rooms_missed"] == properties["scenecheck_regressions"] == "0"


def test_gate_when_a_room_is_missed_then_fails_naming_room_scores_rules_and_what_to_do(
    project: pytest.Pytester,
) -> None:
    result = run(project, GATED.format(model="worse"), "--junitxml=out.xml")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    result.stdout.fnmatch_lines([
        "scenecheck: brightness 2 (fp32) on cameras.csv: * broken",
        "  baseline: brightness 1 (fp32): first release",
        "  missed: 1 rooms are called street and were not before: cellar (8?.?% indoor before, *% now)",
        "  called otherwise than before (2 frames):",
        "    indoor/cellar/?.png (cellar, indoor): indoor -> street, ??.?% -> 1?.?% indoor",
        "  if this is what you want: scenecheck eval cameras.csv --model worse/other.json --baseline baseline.json *",
    ])  # fmt: skip
    assert "room-0" not in text
    assert "pytest_plugin.py" not in text  # no traceback into scenecheck
    failure = next(ET.parse(project.path / "out.xml").iter("failure"))
    assert "cellar" in str(failure.get("message"))


def test_gate_when_tests_share_a_model_then_it_is_judged_once_and_conditions_may_be_ones_own(
    project: pytest.Pytester,
) -> None:
    result = run(project, SHARED)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*there is no baseline to compare with; write one: scenecheck eval*"])


def test_gate_when_the_policy_tolerates_it_then_passes(project: pytest.Pytester) -> None:
    (project.path / "policy.toml").write_text("newly_missed = 1\nece_rise = 1.0\nlatency_ratio = 100.0\n")
    test = GATED.format(model="worse").replace("baseline=", 'policy="policy.toml", baseline=')
    run(project, test).assert_outcomes(passed=1)


# What is wrong with the marker or what it names, and the words that must say so.
WRONG = {
    "": r"mark the test with @pytest.mark.scenecheck\(manifest, \*, model=None",
    '@mark(model="model/other.json")': "scenecheck: missing a required argument: 'manifest'",
    '@mark("cameras.csv", modle="x")': "scenecheck: got an unexpected keyword argument 'modle'",
    '@mark("none.csv", model="model/other.json")': r"no-such-manifest: .*none\.csv: No such file",
    '@mark("cameras.csv", model="none.json")': r"model-missing: .*none\.json",
    '@mark("cameras.csv", model="model/other.json", baseline="none.json")':
        r"bad-baseline: .*none\.json: No such file[^\n]*\n *\(try: ",
    # Every mistake of a manifest, not the first alone.
    '@mark("bad.csv", model="model/other.json")': r"bad\.csv:2 label: .*\n.*bad\.csv:3 path: ",
}  # fmt: skip


def test_gate_when_it_cannot_judge_then_errs_in_words_and_never_passes(project: pytest.Pytester) -> None:
    (project.path / "bad.csv").write_text(
        "path,label,group\nindoor/cellar/0.png,attic,a\nnone.png,street,b\n"
    )
    tests = [
        f"{marker}\ndef test_{i}(scenecheck_gate): scenecheck_gate.check()" for i, marker in enumerate(WRONG)
    ]
    result = run(project, "\n\n".join(["import pytest\nmark = pytest.mark.scenecheck", *tests]))
    result.assert_outcomes(errors=len(WRONG))
    text = result.stdout.str()
    for marker, says in WRONG.items():
        assert re.search(says, text), (marker, text)
    assert "Traceback" not in text
    assert "During handling" not in text


def test_gate_when_int8_cannot_be_used_here_then_skips_with_the_reason(project: pytest.Pytester) -> None:
    folder = project.mkdir("tiny")
    make_tiny_model(folder)
    marker = '@pytest.mark.scenecheck("cameras.csv", model="tiny/scenecheck.json", precision="int8")'
    result = run(project, f"import pytest\n{marker}\ndef test_it(scenecheck_gate): assert False", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*int8 is not used on this machine: *scenecheck-int8.json*"])


def test_plugin_when_nobody_asks_for_it_then_loads_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("scenecheck")
            assert "scenecheck.pytest_plugin" in sys.modules
            loaded = {name for name in sys.modules if name.startswith("scenecheck.")}
            assert loaded == {"scenecheck.pytest_plugin"}
            assert not {"numpy", "cv2", "av", "onnxruntime", "pydantic", "scipy", "jinja2"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "--strict-markers", timeout=60)
    result.assert_outcomes(passed=1)


def test_example_of_the_docs_page_runs_as_it_stands(project: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "eval.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 1
    (project.path / "model.json").write_text((project.path / "model" / "other.json").read_text())
    (project.path / "other.onnx").write_bytes((project.path / "model" / "other.onnx").read_bytes())
    run(project, "\n\n".join(examples)).assert_outcomes(passed="\n".join(examples).count("def test_"))
