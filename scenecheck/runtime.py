"""ONNX Runtime as this product uses it: which CPUs and providers there are, sessions, their errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort  # type: ignore[import-untyped]

from scenecheck.errors import ModelError, UsageError
from scenecheck.precision import has_vnni

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MAX_DEFAULT_THREADS = 4
"""One tile is too little work to share among more threads without losing time at the joints."""


def available_cpus(root: Path = Path("/")) -> int:
    """CPUs this process may use: affinity and cgroup quota (v1 and v2), at least 1.

    ``root`` is where ``proc`` and ``sys`` are mounted.
    """
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [q for q in _cgroup_quotas(root) if q > 0]
    # Rounded up: at 1.5 CPUs a second thread still helps, and spinning is off.
    return max(1, min([n, *(int(-(-q // 1)) for q in quotas)]))


def _cgroup_quotas(root: Path) -> Iterator[float]:
    """Quotas in CPUs of this process's cgroup and of its ancestors, any of which may be the narrowest."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        is_v2 = hierarchy == "0" and not controllers
        if not is_v2 and "cpu" not in controllers.split(","):
            continue
        mounts = ["sys/fs/cgroup"] if is_v2 else [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"]
        parts = [p for p in group.split("/") if p not in ("", "..")]
        for mount in mounts:
            for depth in range(len(parts) + 1):
                quota = _quota(root.joinpath(mount, *parts[:depth]), is_v2=is_v2)
                if quota is not None:
                    yield quota


def _quota(folder: Path, *, is_v2: bool) -> float | None:
    try:
        if is_v2:
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max": no limit
        return None


def available_providers() -> list[str]:
    """Names for ``provider`` that this installation of ONNX Runtime can run, best first."""
    # Azure's sends pictures to a remote service, which nothing here may do.
    names = [p for p in ort.get_available_providers() if p != "AzureExecutionProvider"]
    return [p.removesuffix("ExecutionProvider").lower() for p in names]


def execution_provider(provider: str) -> str:
    """ONNX Runtime's name of ``provider``. Raises UsageError ``provider``."""
    for name in ort.get_available_providers():
        if name.removesuffix("ExecutionProvider").lower() == provider.lower() in available_providers():
            return str(name)
    names = ", ".join(available_providers())
    raise UsageError("provider", f"--provider {provider}: not in this installation; available: {names}")


def session_threads(threads: int | None) -> int:
    """``threads`` as asked for, by default the CPUs there are, at most four. Raises UsageError below 1."""
    if threads is not None and threads < 1:
        raise UsageError("bad-option", f"threads: expected at least 1, got {threads}")
    return threads or min(available_cpus(), MAX_DEFAULT_THREADS)


def open_session(data: bytes, path: Path, ort_provider: str, *, threads: int) -> Any:
    """An ONNX Runtime session of a model's bytes; ``path`` stands in the errors.

    ``ort_provider`` is the runtime's own name (`execution_provider`). Raises ModelError ``model-broken``,
    UsageError ``provider``.
    """
    try:
        session = ort.InferenceSession(data, session_options(threads), providers=[ort_provider])
    except Exception as e:
        raise ModelError("model-broken", f"{path}: it does not load: {short(e)}") from e
    if session.get_providers()[0] != ort_provider:
        name = ort_provider.removesuffix("ExecutionProvider").lower()
        raise UsageError("provider", f"--provider {name}: installed, but it does not start on this machine")
    return session


def run_session(
    session: Any, outputs: Sequence[str], inputs: dict[str, NDArray[Any]], path: Path
) -> list[NDArray[Any]]:
    """The named outputs for ``inputs``. Raises ModelError ``model-broken``."""
    try:
        found: list[NDArray[Any]] = session.run(list(outputs), inputs)
    except Exception as e:
        raise ModelError("model-broken", f"{path}: it does not run: {short(e)}") from e
    return found


def session_options(threads: int) -> Any:
    """ONNX Runtime's options for every session of the product."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads triple the CPU a camera costs and slow neighbours down
    # (`benchmarks.inference` measures both).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Without VNNI x86 saturates on uint8 x int8; this makes the weights uint8, exact but half as fast.
    options.add_session_config_entry("session.x64quantprecision", "0" if has_vnni() else "1")
    options.log_severity_level = 4  # errors arrive as exceptions; a library prints nothing
    return options


def short(error: Exception) -> str:
    """The first line of a foreign error, without its stack."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
