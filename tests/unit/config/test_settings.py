"""Reading the environment: what is right, and what is said about what is wrong."""

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


def test_defaults_hold_when_nothing_is_set() -> None:
    assert load(Sample, {}) == Sample(port=25, server_name="localhost")


def test_names_are_pascal_case_behind_the_prefix() -> None:
    assert load(Sample, {"Sample__Port": "2525", "Sample__ServerName": "mx.example.test"}).port == 2525


def test_case_does_not_matter() -> None:
    assert load(Sample, {"SAMPLE__SERVERNAME": "a.test"}).server_name == "a.test"


def test_other_prefixes_are_none_of_its_business() -> None:
    assert load(Sample, {"Other__Port": "1", "SampleX": "2", "PATH": "/bin"}) == Sample()


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Prot.*Password, Port, ServerName"):
        load(Sample, {"Sample__Prot": "25"})


def test_a_malformed_value_names_its_variable_and_does_not_repeat_it() -> None:
    with pytest.raises(ConfigurationError, match="Sample__Port") as caught:
        load(Sample, {"Sample__Port": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_value_out_of_bounds_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Port.*65535"):
        load(Sample, {"Sample__Port": "70000"})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    assert load(Sample, {"Sample__Password__File": str(file)}).password == "s3cret"


def test_a_file_that_cannot_be_read_names_variable_and_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Sample__Password__File.*missing"):
        load(Sample, {"Sample__Password__File": str(tmp_path / "missing")})
