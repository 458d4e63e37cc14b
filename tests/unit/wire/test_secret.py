"""No representation of a Secret contains its value."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from relate_wire.secret import Secret

WORD = "correct horse"


def test_reveal_returns_the_value() -> None:
    assert Secret(WORD).reveal() == WORD
    assert Secret(b"octets").reveal() == b"octets"


@pytest.mark.parametrize("secret", [Secret(WORD), Secret(WORD.encode())])
def test_repr_and_format_hide_the_secret(secret: Secret[str] | Secret[bytes]) -> None:
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>40}", f"{[secret]}"]
    assert not [text for text in shown if "horse" in text]


def test_the_repr_of_a_dataclass_hides_the_secret() -> None:
    @dataclass(frozen=True)
    class Command:
        password: Secret[str]

    assert repr(Command(Secret(WORD))).endswith("Command(password=Secret(…))")


def test_tracebacks_and_logs_hide_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(WORD)
    assert "horse" not in "".join(traceback.format_exception(ValueError("refused", secret)))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(__name__).debug("login with %s", secret)
    assert "Secret(…)" in caplog.text


def test_a_secret_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        copy.copy(Secret(WORD))
    assert not hasattr(Secret(WORD), "__dict__")


def test_secrets_compare_by_value_and_never_equal_plain_values() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert hash(Secret(WORD)) == hash(Secret(WORD))
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD
