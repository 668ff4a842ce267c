"""How much worse is too much: the tolerances of a comparison, read from a small TOML file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


class Policy(BaseModel):
    """Tolerances. Every key of the TOML file is one of these; what is left out keeps its default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    recall_drop: float = Field(0.01, ge=0.0, le=1.0)
    """Drop of indoor recall at a stated false-positive rate; more is a regression if also significant."""

    significance: float = Field(0.05, gt=0.0, lt=1.0)
    """Chance that a drop of recall, or more frames turned wrong than right, is an accident."""

    newly_missed: int = Field(0, ge=0)
    """Rooms called street that were not before."""

    newly_flagged: int = Field(0, ge=0)
    """Streets called indoor that were not before."""

    unknown_rise: float = Field(0.05, ge=0.0, le=1.0)
    """Rise of the share of groups without an answer."""

    ece_rise: float = Field(0.02, ge=0.0, le=1.0)
    """Rise of the expected calibration error."""

    drift: float = Field(0.05, ge=0.0)
    """Change of a frame's log-odds when the model file is the same: more means another decoder, preprocessing or
    runtime."""

    latency_ratio: float = Field(1.5, ge=1.0)
    """How many times slower the model may be, beside decode and resize on the same machine."""


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises UsageError ``bad-policy`` naming file and key."""
    try:
        with path.open("rb") as f:
            return Policy.model_validate(tomllib.load(f))
    except OSError as e:
        raise UsageError("bad-policy", f"{path}: {e.strerror or 'cannot be read'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise UsageError("bad-policy", f"{path}: no TOML: {e}") from None
    except ValidationError as e:
        what = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in e.errors(include_url=False))
        raise UsageError("bad-policy", f"{path}: {what}") from None
