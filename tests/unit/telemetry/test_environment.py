"""The OTEL_* variables: lists, numbers, those without an effect, and the page that lists them all."""

import re
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest
from opentelemetry import environment_variables as api
from opentelemetry.sdk import environment_variables as sdk

from relate_telemetry.environment import (
    UNSUPPORTED,
    parse_count,
    parse_list,
    parse_seconds,
    unsupported_variables,
)
from tests.unit.telemetry.processes import run_python

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "observability.md").read_text().partition("\n## Standard environment variables\n")[2]
ROWS = [
    (re.findall(r"`([A-Z_{}]+)`", variables), reader.strip())
    for variables, reader in re.findall(r"^\| ((?:`[A-Z_{}]+` ?)+)\|([^|]+)\|", PAGE, re.MULTILINE)
]
DOCUMENTED = [variable for variables, _ in ROWS for variable in variables]
SIGNAL = re.compile(r"(?<=OTLP_)(?:TRACES|METRICS|LOGS)(?=_(?!TEMPORALITY|DEFAULT_HISTOGRAM))")


def read_by(reader: str) -> set[str]:
    return {variable for variables, each in ROWS if each == reader for variable in variables}


def defined(module: ModuleType) -> set[str]:
    """The variables of a module of constants, with {SIGNAL} for the signals."""
    return {SIGNAL.sub("{SIGNAL}", name) for name in vars(module) if name.startswith("OTEL_")}


def named_in_code() -> set[str]:
    """The variables that stand in the code of Relate Mail."""
    files = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in ("services", "shared"))
    code = "\n".join(path.read_text() for path in files).replace("{signal.upper()}", "{SIGNAL}")
    return set(re.findall(r"OTEL_[A-Z_]+(?:\{SIGNAL\}[A-Z_]+)?(?<!_)(?![\w{*])", code))


def test_the_page_lists_the_variables_of_the_specification_and_of_the_code_once() -> None:
    environment = {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}
    instrumented = {name for name in DOCUMENTED if name.startswith("OTEL_PYTHON_")} | {"OTEL_SEMCONV_STABILITY_OPT_IN"}
    assert set(DOCUMENTED) - instrumented == (defined(sdk) | defined(api) | environment) - instrumented
    assert named_in_code() - {f"OTEL_{'{SIGNAL}'}_EXPORTER"} <= set(DOCUMENTED)
    assert len(DOCUMENTED) == len(set(DOCUMENTED))


def test_the_page_says_which_variables_the_code_reads() -> None:
    named = named_in_code()
    assert {reader for _, reader in ROWS} == {"Relate Mail", "SDK", "–"}
    assert read_by("Relate Mail") <= named
    assert read_by("–") & named == set(UNSUPPORTED)


def test_a_list_has_each_value_once() -> None:
    assert parse_list({}, "X") == parse_list({"X": " , "}, "X") == []
    assert parse_list({"X": "otlp, console,otlp"}, "X") == ["otlp", "console"]


@pytest.mark.parametrize(("text", "seconds"), [("", 7.0), (" ", 7.0), ("0", 0.0), ("250", 0.25)])
def test_a_duration_is_in_milliseconds(text: str, seconds: float) -> None:
    assert parse_seconds({"X": text}, "X", 7.0) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "1s"])
def test_a_malformed_duration_names_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"^X: "):
        parse_seconds({"X": text}, "X", 7.0)


def test_a_count_is_positive() -> None:
    assert parse_count({"X": "3"}, "X", 7) == 3
    assert parse_count({}, "X", 7) == 7
    with pytest.raises(ValueError, match=r"^X: "):
        parse_count({"X": "0"}, "X", 7)


def test_a_variable_without_an_effect_is_reported() -> None:
    assert unsupported_variables({"OTEL_CONFIG_FILE": ""}) == []
    (sentence,) = unsupported_variables({"OTEL_CONFIG_FILE": "otel.yaml"})
    assert sentence.startswith("OTEL_CONFIG_FILE is ignored: ")
    _, errors = run_python("converse(start())", {"OTEL_CONFIG_FILE": "otel.yaml"})
    assert errors == f"{sentence}\n"
