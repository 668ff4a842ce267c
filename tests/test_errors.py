"""The error tree: stable codes, one line, advice for each, at home in worker processes."""

from __future__ import annotations

import pickle
import re

import pytest

from scenecheck import errors

CLASSES = [
    c
    for c in vars(errors).values()
    if isinstance(c, type) and issubclass(c, errors.ScenecheckError) and c.advice
]
CODES = [(c, code) for c in CLASSES for code in c.advice]


def test_codes_are_unique_over_all_classes() -> None:
    codes = [code for _, code in CODES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize(("error", "code"), CODES)
def test_every_code_says_what_to_try_and_survives_a_process_boundary(
    error: type[errors.ScenecheckError], code: str
) -> None:
    made = error(code, "camera 7:\n  broke   off")
    assert str(made) == "camera 7: broke off"
    assert len(made.try_) > 8
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), again.code, str(again), again.try_) == (error, code, str(made), made.try_)


def test_unlisted_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        errors.UsageError("no-such-code", "x")


@pytest.mark.parametrize(
    ("error", "exit_code"), [(errors.UsageError, 2), (errors.SourceError, 3), (errors.ModelError, 4)]
)
def test_exit_codes_follow_the_contract(error: type[errors.ScenecheckError], exit_code: int) -> None:
    assert error.exit_code == exit_code
