"""Loading sections from the environment, and the errors of invalid ones."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from relate_config import ConfigurationError, Section, load


class Sample(Section):
    prefix: ClassVar[str] = "Sample"

    port: int = Field(default=25, ge=0, le=65_535)
    server_name: str = "localhost"
    password: str | None = None


def test_unset_fields_have_defaults() -> None:
    assert load(Sample, {}) == Sample(port=25, server_name="localhost")


def test_names_are_the_prefix_and_pascal_case() -> None:
    assert load(Sample, {"Sample__Port": "2525", "Sample__ServerName": "mx.example.test"}).port == 2525


def test_names_are_case_insensitive() -> None:
    assert load(Sample, {"SAMPLE__SERVERNAME": "a.test"}).server_name == "a.test"


def test_other_prefixes_are_ignored() -> None:
    assert load(Sample, {"Other__Port": "1", "SampleX": "2", "PATH": "/bin"}) == Sample()


def test_an_unknown_field_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Prot.*Password, Port, ServerName"):
        load(Sample, {"Sample__Prot": "25"})


def test_an_error_names_the_variable_and_does_not_quote_the_value() -> None:
    with pytest.raises(ConfigurationError, match="Sample__Port") as caught:
        load(Sample, {"Sample__Port": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_an_error_of_bounds_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Port.*65535"):
        load(Sample, {"Sample__Port": "70000"})


def test_a_value_may_be_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    assert load(Sample, {"Sample__Password__File": str(file)}).password == "s3cret"


def test_an_unreadable_file_is_an_error_with_variable_and_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Password__File.*missing"):
        load(Sample, {"Sample__Password__File": str(tmp_path / "missing")})
