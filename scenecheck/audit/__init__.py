"""Every feed of an inventory judged, watched over and stored."""

from scenecheck.audit.run import Audited, Limits, Progress, audit

__all__ = ["Audited", "Limits", "Progress", "audit"]
