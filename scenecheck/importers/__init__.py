"""Inventories from the configurations of MediaMTX, Frigate and go2rtc, and from other inventories.

What each program says of a camera is read; nothing is opened. Passwords leave the addresses they stand in;
whatever cannot be taken over is named with its line and the reason.
"""

from __future__ import annotations

from scenecheck.importers.read import KINDS, Found, Import, Kind, Remark, read
from scenecheck.importers.secrets import in_files, in_variables

__all__ = ["KINDS", "Found", "Import", "Kind", "Remark", "in_files", "in_variables", "read"]
