"""The model card: what a model file is, how its input is made, what it must answer.

The card stands beside its model. Nothing in it is trusted further than it can be checked: hashes
against the very bytes that are used, known answers against the runtime, the preprocess version
against the code.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scenecheck.errors import ModelError
from scenecheck.preprocess import PREPROCESS_VERSION
from scenecheck.types import Thresholds

CARD_NAME = "scenecheck.json"

MAX_CARD_BYTES = 4 << 20
"""A card with a few hundred samples has 100 KB; more is another file under this name."""

MAX_MODEL_BYTES = 512 << 20
"""Far above any model this path is meant for (20 MB); bounds what is read into memory."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
# A bare name: a card must not lead to files elsewhere.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
Dimension = Annotated[int, Field(ge=1, le=65_536)]


class _Part(BaseModel):
    # Unknown fields are kept: a later card of the same schema may say more, and `model info` shows it.
    model_config = ConfigDict(
        extra="allow", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


class InputSpec(_Part):
    """The tile batch the graph takes, and how pictures become one."""

    name: Literal["tiles"]
    dtype: Literal["uint8"]
    layout: Literal["NCHW"]
    height: Dimension
    width: Dimension
    colour: Literal["rgb"]
    geometry: Literal["stretch"]
    normalisation: str
    preprocess_version: int


class OutputSpec(_Part):
    """Shapes of the graph's outputs for one tile."""

    logits: tuple[Literal[2]]
    embedding: tuple[Dimension]
    cam: tuple[Literal[2], Dimension, Dimension]


class Scope(_Part):
    """Where the model stops being one to ask: frames whose ``novelty`` (0 to 1) lies above show nothing it knows."""

    novelty_above: float = Field(gt=0.0, le=1.0)


class _Answer(_Part):
    """What the model said of one tile where it was made: logits are (street, indoor)."""

    tile_sha256: Sha256
    logits: tuple[float, float]
    p_indoor: Probability


class KnownAnswer(_Answer):
    """The answer to a tile that comes with the card."""

    name: str


class KnownAnswers(_Part):
    """Tiles (array ``tiles`` of the .npz, in the order of ``answers``) and the answers to them."""

    file: FileName
    sha256: Sha256
    tolerance_logit: float = Field(gt=0.0, le=0.5)
    answers: tuple[KnownAnswer, ...] = Field(min_length=1, max_length=64)


class SampleAnswer(_Answer):
    """One picture of ``samples/`` from its bytes to its score: catches drift of decoder or preprocess."""

    path: str
    picture_sha256: Sha256

    @property
    def name(self) -> str:
        return self.path


class Card(_Part):
    """A model card, schema ``scenecheck/model-card/1``."""

    schema_: Literal["scenecheck/model-card/1"] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    file: FileName
    sha256: Sha256
    input: InputSpec
    outputs: OutputSpec
    labels: tuple[Literal["street"], Literal["indoor"]]
    temperature: float = Field(gt=0.0, le=100.0)
    thresholds: Thresholds
    scope: Scope | None = Field(default=None, exclude_if=lambda scope: scope is None)
    known_answers: KnownAnswers
    samples: tuple[SampleAnswer, ...] = ()
    training: dict[str, Any] | str = ""
    figures: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _probabilities_follow_from_logits(self) -> Card:
        """An edited temperature must not go unnoticed, so every stored p is compared with its logits."""
        answers: list[KnownAnswer | SampleAnswer] = [*self.known_answers.answers, *self.samples]
        for answer in answers:
            expected = self.p_indoor(*answer.logits)
            if abs(expected - answer.p_indoor) > 1e-4:  # cards round to five digits or more
                raise ValueError(
                    f"p_indoor of {answer.name} is {answer.p_indoor}, but its logits at temperature "
                    f"{self.temperature} give {expected:.6f}"
                )
        return self

    def p_indoor(self, logit_street: float, logit_indoor: float) -> float:
        """Calibrated probability of an interior (temperature scaling, Guo et al., 2017).

        Computed one value at a time in double precision: no vector width can change a bit.
        """
        z = (logit_indoor - logit_street) / self.temperature
        if z >= 0:
            return 1.0 / (1.0 + math.exp(-z))
        e = math.exp(z)
        return e / (1.0 + e)


def bundled_model() -> Path:
    """Path of the bundled model's card: inside the installed package, or beside it in a checkout.

    Raises ModelError ``model-missing``.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "models", package.parent / "models"):
        if (folder / CARD_NAME).is_file():
            return folder / CARD_NAME
    raise ModelError("model-missing", f"models/{CARD_NAME}: this installation of scenecheck has no model")


def card_path(model: Path | None = None) -> Path:
    """The card that ``model`` means: a card, a model with its card beside it, or None for the bundled one.

    Raises ModelError ``model-missing``.
    """
    if model is None:
        return bundled_model()
    path = model.with_suffix(".json") if model.suffix.lower() == ".onnx" else model
    if not path.is_file():
        beside = f" (the card of {model.name})" if path != model else ""
        raise ModelError("model-missing", f"{path}{beside}: no such file")
    return path


def read_card(path: Path) -> bytes:
    """The bytes of a card. Raises ModelError ``model-missing``, ``model-card``."""
    try:
        with path.open("rb") as f:
            text = f.read(MAX_CARD_BYTES + 1)
    except FileNotFoundError:
        raise ModelError("model-missing", f"{path}: no such file") from None
    except OSError as e:
        raise ModelError("model-card", f"{path}: cannot be read: {e.strerror}") from e
    if len(text) > MAX_CARD_BYTES:
        raise ModelError("model-card", f"{path}: more than {MAX_CARD_BYTES} bytes: no model card")
    return text


def load_card(path: Path) -> Card:
    """Read and check a card.

    Raises ModelError naming file and field: ``model-missing``, ``model-card``, ``model-preprocess``.
    """
    try:
        card = Card.model_validate_json(read_card(path))
    except ValidationError as e:
        raise ModelError("model-card", f"{path}: {what_is_wrong(e)}") from e
    made_for = card.input.preprocess_version
    if made_for != PREPROCESS_VERSION:
        raise ModelError(
            "model-preprocess",
            f"{path}: input.preprocess_version is {made_for}, "
            f"this scenecheck makes tiles of version {PREPROCESS_VERSION}",
        )
    return card


def what_is_wrong(error: ValidationError) -> str:
    """The first complaints as ``field: what``, a few of them."""
    details = error.errors(include_url=False, include_input=True)
    sentences = []
    for detail in details[:3]:
        field = ".".join(str(part) for part in detail["loc"]) or "card"
        got = detail["input"]
        shown = f", got {got!r}" if isinstance(got, (str, int, float, bool)) and len(repr(got)) <= 80 else ""
        sentences.append(f"{field}: {detail['msg']}{shown}")
    if len(details) > 3:
        sentences.append(f"and {len(details) - 3} more")
    return "; ".join(sentences)


def read_pinned(path: Path, sha256: str) -> bytes:
    """Read a file that must have this SHA-256; what was hashed is what is returned.

    Raises ModelError ``model-missing``, ``model-broken`` (unreadable), ``model-hash``.
    """
    try:
        with path.open("rb") as f:
            data = f.read(MAX_MODEL_BYTES + 1)
    except FileNotFoundError:
        raise ModelError("model-missing", f"{path}: the card names it, but there is no such file") from None
    except OSError as e:
        raise ModelError("model-broken", f"{path}: cannot be read: {e.strerror}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError("model-hash", f"{path}: its SHA-256 is {found}, the card says {sha256}")
    return data
