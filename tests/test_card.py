"""Cards say what is wrong with them, by file and field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.card import Card, bundled_model, card_path, load_card, read_pinned
from scenecheck.errors import ModelError
from scenecheck.preprocess import PREPROCESS_VERSION, TILE_SIZE
from tests.models import TinyModel, make_tiny_model

LOGITS = st.floats(-40, 40)


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return make_tiny_model(tmp_path)


def test_load_card_when_all_is_well_then_every_field_is_there(tiny: TinyModel) -> None:
    card = load_card(tiny.card_path)
    assert (card.name, card.input.height, card.input.width) == ("tiny", *TILE_SIZE)
    assert card.thresholds.street_below == 0.2
    assert json.loads(card.model_dump_json(by_alias=True)) == tiny.card


def test_load_card_when_it_says_more_than_we_know_then_that_is_kept(tiny: TinyModel) -> None:
    tiny.card["figures"]["new"] = {"value": 1}
    tiny.card["note"] = "kept"
    shown = json.loads(load_card(tiny.write_card()).model_dump_json(by_alias=True))
    assert shown["note"] == "kept"
    assert shown["figures"]["new"] == {"value": 1}


def _put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(card: dict[str, Any]) -> None:
        at: Any = card
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_put("schema", value="scenecheck/model-card/9"), "schema"),
        (lambda card: card.pop("temperature"), "temperature"),
        (_put("temperature", value=0), "temperature"),
        (_put("temperature", value=-1.5), "temperature"),
        (_put("temperature", value=3.0), "p_indoor of noise 0"),
        (_put("thresholds", value={"street_below": 0.8, "indoor_above": 0.2}), "street_below < indoor_above"),
        (_put("thresholds", value={"street_below": 0.2}), "indoor_above"),
        (_put("sha256", value="abc"), "sha256"),
        (_put("file", value="../elsewhere.onnx"), "file"),
        (_put("file", value="/etc/passwd"), "file"),
        (_put("known_answers", "file", value="a/b.npz"), "known_answers.file"),
        (_put("known_answers", "answers", value=[]), "known_answers.answers"),
        (_put("known_answers", "tolerance_logit", value=100.0), "known_answers.tolerance_logit"),
        (_put("known_answers", "answers", 0, "logits", value=[1.0]), "known_answers.answers.0.logits"),
        (_put("known_answers", "answers", 1, "p_indoor", value=0.123), "p_indoor of noise 1"),
        (_put("labels", value=["indoor", "street"]), "labels"),
        (_put("input", "height", value=0), "input.height"),
        (_put("input", "layout", value="NHWC"), "input.layout"),
        (_put("outputs", "logits", value=[3]), "outputs.logits"),
        (_put("outputs", "cam", value=[2, 9]), "outputs.cam"),
    ],
)
def test_load_card_when_a_field_is_wrong_then_file_and_field_are_named(
    tiny: TinyModel, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    change(tiny.card)
    with pytest.raises(ModelError) as caught:
        load_card(tiny.write_card())
    assert caught.value.code == "model-card"
    assert str(tiny.card_path) in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": NaN}', "\x00\x01", "{}" * 3_000_000])
def test_load_card_when_it_is_no_card_then_it_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        load_card(path)
    assert caught.value.code == "model-card"
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_load_card_when_tiles_have_changed_since_then_it_refuses(tiny: TinyModel) -> None:
    tiny.card["input"]["preprocess_version"] = PREPROCESS_VERSION + 1
    with pytest.raises(ModelError, match=r"input\.preprocess_version") as caught:
        load_card(tiny.write_card())
    assert caught.value.code == "model-preprocess"


def test_load_card_when_it_is_missing_or_a_folder_then_the_code_tells(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.json", "model-missing"), (tmp_path, "model-card")):
        with pytest.raises(ModelError) as caught:
            load_card(path)
        assert caught.value.code == code


def test_card_path_when_the_model_is_given_then_its_card_is_beside_it(tiny: TinyModel) -> None:
    assert card_path(tiny.model_path) == tiny.card_path
    assert card_path(tiny.card_path) == tiny.card_path
    with pytest.raises(ModelError, match=r"other\.json \(the card of other\.onnx\): no such file"):
        card_path(tiny.folder / "other.onnx")
    with pytest.raises(ModelError, match=r"other\.json: no such file"):
        card_path(tiny.folder / "other.json")


@pytest.mark.parametrize("place", ["package/models", "models"])
def test_bundled_model_when_installed_or_in_a_checkout_then_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    (tmp_path / "package").mkdir(exist_ok=True)
    monkeypatch.setattr("scenecheck.card.__file__", str(tmp_path / "package" / "card.py"))
    with pytest.raises(ModelError) as caught:
        bundled_model()
    assert caught.value.code == "model-missing"
    tiny = make_tiny_model(folder)
    assert bundled_model() == card_path(None) == tiny.card_path


def test_read_pinned_when_one_bit_differs_then_both_hashes_are_named(tiny: TinyModel) -> None:
    data = bytearray(tiny.model_path.read_bytes())
    pinned = tiny.card["sha256"]
    assert read_pinned(tiny.model_path, pinned) == data
    data[len(data) // 2] ^= 1
    tiny.model_path.write_bytes(data)
    with pytest.raises(ModelError, match=pinned) as caught:
        read_pinned(tiny.model_path, pinned)
    assert caught.value.code == "model-hash"
    tiny.model_path.unlink()
    with pytest.raises(ModelError) as caught:
        read_pinned(tiny.model_path, pinned)
    assert caught.value.code == "model-missing"


def _card(temperature: float, folder: dict[str, Any]) -> Card:
    return Card.model_construct(temperature=temperature, **folder)


@given(LOGITS, LOGITS, st.floats(0.1, 20))
def test_p_indoor_when_logits_differ_then_it_is_the_sigmoid_and_symmetric(
    a: float, b: float, t: float
) -> None:
    card = _card(t, {})
    p = card.p_indoor(a, b)
    assert 0.0 <= p <= 1.0
    assert math.isclose(p + card.p_indoor(b, a), 1.0, abs_tol=1e-12)
    assert math.isclose(p, 0.5 * (1 + math.tanh((b - a) / t / 2)), abs_tol=1e-12)


def test_p_indoor_when_logits_are_extreme_then_nothing_overflows() -> None:
    card = _card(0.01, {})
    assert card.p_indoor(1e6, -1e6) == 0.0
    assert card.p_indoor(-1e6, 1e6) == 1.0
