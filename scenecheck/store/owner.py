"""Who holds a run: a name per auditor that tells, on the same machine, whether it still lives."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path


def owner_name() -> str:
    """A new name ``host/machine/pid/started/nonce`` for an auditor in this process."""
    pid = os.getpid()
    return "/".join((platform.node(), _machine(), str(pid), _started(pid), uuid.uuid4().hex[:8]))


def is_gone(name: str) -> bool:
    """Whether the owner is proven dead: it ran on this machine, and its process does not.

    False where nobody can tell: another machine, another boot, another container, a foreign system.
    """
    host, machine, pid, started, _ = (*name.split("/"), "", "", "", "", "")[:5]
    if host != platform.node() or machine != _machine() or not machine or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def describe(name: str) -> str:
    """The owner as people know it."""
    host, _, pid = (*name.split("/"), "", "", "")[:3]
    return f"process {pid} on {host}"


def _machine() -> str:
    """This boot and this process-id namespace; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process started, in the kernel's ticks: ids are used again. Empty: there is no such."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    # The name, in parentheses, may hold spaces and parentheses. A zombie has ended.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
