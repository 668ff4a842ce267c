"""pytest plugin: gate a model in three lines (docs/eval.md).

::

    @pytest.mark.scenecheck("cameras.csv", model="model.json", baseline="baseline.json")
    def test_no_camera_got_worse(scenecheck_gate):
        scenecheck_gate.check()

Paths are relative to pytest's rootdir. pytest loads this module in every project where scenecheck is
installed, so it imports nothing but pytest until a test asks for the fixture.
"""

from __future__ import annotations

import inspect
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scenecheck.evaluation.results import Baseline, Evaluation, Flip, Regression

__all__ = ["Gate", "scenecheck_gate"]

MAX_FLIPS = 20
"""Flips written under a failure; `scenecheck eval --html` shows all."""

MARKER = (
    "scenecheck(manifest, *, model=None, baseline=None, policy=None, provider='cpu', precision='fp32'): "
    "what the fixture scenecheck_gate judges; paths are relative to rootdir"
)


@dataclass(frozen=True, slots=True)
class _Order:
    """The arguments of the marker."""

    manifest: str
    _: KW_ONLY
    model: str | None = None
    baseline: str | None = None
    policy: str | None = None
    provider: str = "cpu"
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class Gate:
    """A model judged on the marker's manifest, beside its baseline where the marker names one.

    ``evaluation`` has every figure for conditions of your own, such as
    ``assert not gate.evaluation.groups.indoor.missed``.
    """

    evaluation: Evaluation
    baseline: Baseline | None
    regressions: tuple[Regression, ...]
    flips: tuple[Flip, ...]
    accept: str
    """The command that takes this evaluation as the baseline."""

    def check(self) -> None:
        """Fail the test, naming rooms, scores and rules, when the model got worse than the policy tolerates."""
        __tracebackhide__ = True
        if self.baseline is None:
            pytest.fail(
                f"scenecheck: there is no baseline to compare with; write one: {self.accept}", pytrace=False
            )
        if self.regressions:
            pytest.fail("\n".join(self._lines(self.baseline)), pytrace=False)

    def _lines(self, baseline: Baseline) -> list[str]:
        new, old, n = self.evaluation.model, baseline.model, len(self.regressions)
        judged = f"{new.name} {new.version} ({new.precision}) on {self.evaluation.path.name}"
        lines = [
            f"scenecheck: {judged}: {n} rule{'s' * (n != 1)} broken",
            f"  baseline: {old.name} {old.version} ({old.precision}): {baseline.reason}",
            "",
            *(f"  {r.what}: {r.sentence}" for r in self.regressions),
        ]
        if self.flips:
            lines += ["", f"  called otherwise than before ({len(self.flips)} frames):"]
            lines += [f"    {_flip(f)}" for f in self.flips[:MAX_FLIPS]]
        if len(self.flips) > MAX_FLIPS:
            lines.append(f"    and {len(self.flips) - MAX_FLIPS} more")
        return [*lines, "", f"  if this is what you want: {self.accept}"]


def _flip(f: Flip) -> str:
    at = f" at {f.at_s:.1f} s" if f.at_s else ""
    return (
        f"{f.path}{at} ({f.group}, {f.label.value}): {f.old.value} -> {f.new.value}, "
        f"{f.old_p_indoor:.1%} -> {f.new_p_indoor:.1%} indoor"
    )


_evaluations: pytest.StashKey[dict[tuple[str, ...], Evaluation]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.stash[_evaluations] = {}


@pytest.fixture
def scenecheck_gate(request: pytest.FixtureRequest) -> Gate:
    """The model of the test's ``scenecheck`` marker, judged; once per session for all tests that share it."""
    marker = request.node.get_closest_marker("scenecheck")
    if marker is None:
        pytest.fail(f"scenecheck_gate: mark the test with @pytest.mark.{MARKER}", pytrace=False)
    try:
        inspect.signature(_Order).bind(*marker.args, **marker.kwargs)
    except TypeError as e:
        raise _failed(f"@pytest.mark.scenecheck: {e}; expected {MARKER}") from None
    from scenecheck.errors import ScenecheckError

    try:
        gate = _judged(_Order(*marker.args, **marker.kwargs), request.config)
    except ScenecheckError as e:
        # Every mistake as its line, and what to try; a traceback into scenecheck would help nobody.
        mistakes = getattr(e, "lines", None) or [e.message]
        raise _failed(f"scenecheck: {e.code}: " + "\n  ".join([*mistakes, f"(try: {e.try_})"])) from None
    figures, groups = gate.evaluation.frames, gate.evaluation.groups
    for name, value in (
        ("model", f"{gate.evaluation.model.name} {gate.evaluation.model.version}"),
        ("sha256", gate.evaluation.model.sha256),
        ("auroc", figures.auroc),
        ("rooms_missed", len(groups.indoor.missed)),
        ("streets_flagged", len(groups.street.flagged)),
        ("regressions", len(gate.regressions)),
    ):
        request.node.user_properties.append((f"scenecheck_{name}", value))  # pytest's JUnit shows them
    return gate


def _judged(order: _Order, config: pytest.Config) -> Gate:
    """Judge as the marker says. Raises ScenecheckError."""
    from scenecheck.evaluation.baseline import flips, read_baseline
    from scenecheck.evaluation.comparison import compare
    from scenecheck.evaluation.policy import Policy, read_policy

    root = config.rootpath
    # Read before anything long begins: a wrong file is said at once.
    baseline = None if order.baseline is None else read_baseline(root / order.baseline)
    policy = Policy() if order.policy is None else read_policy(root / order.policy)
    evaluation = _evaluated(order, config)
    return Gate(
        evaluation=evaluation,
        baseline=baseline,
        regressions=evaluation.golden if baseline is None else tuple(compare(evaluation, baseline, policy)),
        flips=() if baseline is None else tuple(flips(evaluation, baseline)),
        accept=_command(order),
    )


def _evaluated(order: _Order, config: pytest.Config) -> Evaluation:
    """The evaluation, from an earlier test of this session or anew. Raises ScenecheckError."""
    from scenecheck.adapter import open_model
    from scenecheck.evaluation.evaluate import evaluate
    from scenecheck.runtime import available_cpus

    done, key = (
        config.stash[_evaluations],
        (order.manifest, str(order.model), order.provider, order.precision),
    )
    if key not in done:
        model = None if order.model is None else config.rootpath / order.model
        threads = 1 if order.provider == "cpu" else None
        with open_model(model, provider=order.provider, threads=threads, precision=order.precision) as opened:
            if opened.fallback is not None:
                pytest.skip(f"scenecheck: {order.precision} is not used on this machine: {opened.fallback}")
            done[key] = evaluate(config.rootpath / order.manifest, opened, workers=available_cpus())
    return done[key]


def _command(order: _Order) -> str:
    words = ["scenecheck eval", order.manifest]
    words += [f"--model {order.model}"] if order.model else []
    words += [f"--provider {order.provider}"] if order.provider != "cpu" else []
    words += [f"--precision {order.precision}"] if order.precision != "fp32" else []
    return " ".join([*words, f"--baseline {order.baseline or 'FILE'}", '--update-baseline "why"'])


def _failed(text: str) -> BaseException:
    return pytest.fail.Exception(text, pytrace=False)
