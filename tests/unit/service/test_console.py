"""Control characters in logged text never reach the terminal."""

from collections.abc import Iterator

import pytest
import structlog

from relate_service.console import log_to_console

NASTY = "eve\x1b[2J\x07\u202e\x9b\x7f"
SHOWN = r"eve\x1b[2J\x07\u202e\x9b\x7f"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


def test_control_characters_in_a_log_line_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    structlog.get_logger().warning(NASTY, login=NASTY)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count(SHOWN) == 2
    assert err.removesuffix("\n").isprintable()


def test_a_traceback_is_escaped_and_has_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    secret = "".join(("hunt", "er2"))
    try:
        raise ValueError(NASTY)
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    err = capsys.readouterr().err
    assert SHOWN in err
    assert "test_console.py" in err
    assert secret not in err
    assert all(line.isprintable() for line in err.splitlines())
