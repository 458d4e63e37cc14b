"""A secret is not shown by anything that shows things."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from relate_wire.secret import Secret

WORD = "correct horse"


def test_reveal_gives_the_value_back() -> None:
    assert Secret(WORD).reveal() == WORD
    assert Secret(b"octets").reveal() == b"octets"


@pytest.mark.parametrize("secret", [Secret(WORD), Secret(WORD.encode())])
def test_secret_is_not_printed(secret: Secret[str] | Secret[bytes]) -> None:
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>40}", f"{[secret]}"]
    assert not [text for text in shown if "horse" in text]


def test_secret_is_not_printed_by_the_dataclass_that_holds_it() -> None:
    @dataclass(frozen=True)
    class Command:
        password: Secret[str]

    assert repr(Command(Secret(WORD))).endswith("Command(password=Secret(…))")


def test_secret_is_not_printed_by_a_traceback_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(WORD)
    assert "horse" not in "".join(traceback.format_exception(ValueError("refused", secret)))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(__name__).debug("login with %s", secret)
    assert "Secret(…)" in caplog.text


def test_secret_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        copy.copy(Secret(WORD))
    assert not hasattr(Secret(WORD), "__dict__")


def test_secrets_are_compared_by_value_and_never_equal_the_value() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert hash(Secret(WORD)) == hash(Secret(WORD))
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD
