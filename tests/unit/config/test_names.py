"""Misspelt variables, and variables of other programs."""

from typing import ClassVar

import pytest

from relate_config import ConfigurationError, Section, check_names, is_set, load


class Smtp(Section):
    prefix: ClassVar[str] = "Smtp"

    port: int = 25
    server_name: str = ""


class Imap(Section):
    prefix: ClassVar[str] = "Imap"

    port: int = 143


class ConnectionStrings(Section):
    prefix: ClassVar[str] = "ConnectionStrings"

    default_connection: str = ""


SECTIONS = (Smtp, Imap, ConnectionStrings)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("Smpt__Port", "Smtp__Port"),
        ("SMPT__PORT", "Smtp__Port"),
        ("Smt__ServerName", "Smtp__ServerName"),
        ("Imaps__Port", "Imap__Port"),
        ("Imao__Prot", "Imap__Port"),
        ("Smpt__ServerName__File", "Smtp__ServerName"),
        ("ConectionString__DefaultConnection", "ConnectionStrings__DefaultConnection"),
    ],
)
def test_a_misspelt_section_is_an_error_with_the_nearest_name(variable: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{variable} \(did you mean {meant}\?\)"):
        check_names(SECTIONS, {variable: "1"})


@pytest.mark.parametrize("variable", ["STEP__NAME", "Logging__Port", "STAMP__PORT", "__Port", "Smtp__", "x" * 10_000])
def test_variables_of_other_programs_are_ignored(variable: str) -> None:
    assert check_names(SECTIONS, {variable: "1"}) == []


def test_a_misspelt_field_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"Smtp__Prot \(did you mean Smtp__Port\?\)"):
        load(Smtp, {"Smtp__Prot": "1"})
    with pytest.raises(ConfigurationError, match=r"Smtp__SeverName__File \(did you mean Smtp__ServerName\?\)"):
        load(Smtp, {"Smtp__SeverName__File": "/nowhere"})


def test_a_single_underscore_is_detected_except_in_upper_case() -> None:
    environ = {"Imap_Port": "1", "smtp_server_name": "", "Smtp_ServerName": "x", "SMTP_PORT": "tcp://10.0.0.1:25"}
    assert check_names(SECTIONS, environ) == ["Imap_Port", "Smtp_ServerName"]


def test_is_set_ignores_case_and_accepts_files() -> None:
    for variable in ("Smtp__ServerName", "SMTP__SERVERNAME", "Smtp__ServerName__File"):
        assert is_set(Smtp, "server_name", {variable: ""})
    assert not is_set(Smtp, "server_name", {"Smtp__Port": "1"})
