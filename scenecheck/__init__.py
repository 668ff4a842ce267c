"""scenecheck: find the camera that no longer looks at the street, before anybody else does.

>>> import scenecheck
>>> result = scenecheck.check("samples/junction-1.jpg")
>>> print(result.verdict.label, result.verdict.reason)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenecheck.classifier import Classifier
    from scenecheck.errors import ModelError, ScenecheckError, SourceError, UsageError
    from scenecheck.pipeline import Judgement, check, look
    from scenecheck.redact import Address
    from scenecheck.source import Source, SourceOptions, open_source
    from scenecheck.types import Condition, Frame, Label, Picture, Scores, Sighting, Thresholds, Verdict

__version__ = "0.1.0"

# Names load on first use: importing the package alone costs no decoder and no runtime.
_HOMES = {
    "Address": "redact",
    "Classifier": "classifier",
    "Condition": "types",
    "Frame": "types",
    "Judgement": "pipeline",
    "Label": "types",
    "ModelError": "errors",
    "Picture": "types",
    "ScenecheckError": "errors",
    "Scores": "types",
    "Sighting": "types",
    "Source": "source",
    "SourceError": "errors",
    "SourceOptions": "source",
    "Thresholds": "types",
    "UsageError": "errors",
    "Verdict": "types",
    "check": "pipeline",
    "look": "pipeline",
    "open_source": "source",
}

__all__ = [
    "Address",
    "Classifier",
    "Condition",
    "Frame",
    "Judgement",
    "Label",
    "ModelError",
    "Picture",
    "ScenecheckError",
    "Scores",
    "Sighting",
    "Source",
    "SourceError",
    "SourceOptions",
    "Thresholds",
    "UsageError",
    "Verdict",
    "__version__",
    "check",
    "look",
    "open_source",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
