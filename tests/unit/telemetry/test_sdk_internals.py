"""Private names of OpenTelemetry are used in one file, and only with the versions that the tests compare with."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import relate_telemetry
from relate_supervisor import Supervisor
from relate_telemetry import sdk_internals
from relate_telemetry.export.choice import span_exporters
from relate_telemetry.export.queue import ExportQueue
from relate_telemetry.export.sdk_spans import QueueProcessor, SdkExporter, count_octets
from relate_telemetry.providers import _make_reader, find_or_make_providers
from relate_telemetry.sdk_internals import INSTALLED_SDK, TESTED_SDK, HttpExporterHooks, TickingReader, is_tested
from tests.unit.telemetry.processes import run_python

ROOT = Path(__file__).parents[3]
PACKAGE = Path(relate_telemetry.__file__).parent
INTERNALS = PACKAGE / "sdk_internals.py"
PRODUCT = [
    path for folder in ("services", "shared", "deploy") for path in (ROOT / folder).rglob("*.py") if path != INTERNALS
]
MEMBER = [path for path in sorted(PACKAGE.rglob("*.py")) if path != INTERNALS]


def is_private(name: str) -> bool:
    return re.fullmatch(r"_[^_]\w*", name) is not None and name not in {"_asdict", "_fields", "_replace"}


def private_imports(tree: ast.Module) -> Iterator[str]:
    """Private modules and names that are imported from OpenTelemetry, or stand in a string."""
    named: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                named += [each.name for each in names]
            case ast.ImportFrom(module=str(module), names=names):
                named += [f"{module}.{each.name}" for each in names]
            case ast.Constant(value=str(string)):
                named += re.findall(r"^opentelemetry[\w.]+$|^_\w*(?:otel|opentelemetry)\w*$", string)
    return (name for name in named if "telemetry" in name and any(map(is_private, name.split("."))))


def defined_names(tree: ast.AST) -> set[str]:
    """The private names that a file or class defines: functions, variables, attributes of `self`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
    return set(filter(is_private, names))


def names_in_class(kind: type) -> set[str]:
    """The private names that a class defines or uses of itself."""
    try:
        source = inspect.getsource(kind)
    except OSError:  # a class of the API that tells another module than its own has no private names to find
        source = ""
    used = re.findall(r"\b(?:self|cls)\.(_\w+)", source)
    return set(filter(is_private, {*used, *vars(kind), *getattr(kind, "__annotations__", ())}))


def names_of_bases(kind: type, module: str) -> set[str]:
    """The private names of those bases of a class that are from a module or package."""
    return {name for base in kind.__mro__ if base.__module__.startswith(module) for name in names_in_class(base)}


def undeclared_attributes(tree: ast.Module, kinds: Iterable[type]) -> set[str]:
    """The private attributes in a file that neither itself nor `sdk_internals` defines."""
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}
    return used - defined_names(tree).union(*(names_of_bases(kind, sdk_internals.__name__) for kind in kinds))


def undeclared_overrides(node: ast.ClassDef, kind: type) -> set[str]:
    """The private names of OpenTelemetry that a class defines, and `sdk_internals` does not declare."""
    taken = defined_names(node) & names_of_bases(kind, "opentelemetry.")
    return taken - names_of_bases(kind, sdk_internals.__name__)


def classes(path: Path, tree: ast.Module) -> Iterator[tuple[ast.ClassDef, type]]:
    module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    yield from ((node, getattr(module, node.name)) for node in tree.body if isinstance(node, ast.ClassDef))


def test_no_other_file_imports_a_private_name() -> None:
    found = {str(path): list(private_imports(ast.parse(path.read_text()))) for path in PRODUCT}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("path", MEMBER, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_file_uses_an_undeclared_private_attribute(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert undeclared_attributes(tree, (kind for _, kind in classes(path, tree))) == set()


@pytest.mark.parametrize("path", MEMBER, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_file_overrides_an_undeclared_private_name(path: Path) -> None:
    found = {node.name: undeclared_overrides(node, kind) for node, kind in classes(path, ast.parse(path.read_text()))}
    assert set().union(*found.values()) == set(), found


@pytest.mark.parametrize(
    "source",
    [
        "from opentelemetry.sdk.metrics._internal import export",
        "from opentelemetry.sdk.trace import _Span",
        "import opentelemetry._x",
        "getattr(app, '_is_instrumented_by_opentelemetry', False)",
    ],
)
def test_a_private_import_is_found(source: str) -> None:
    assert list(private_imports(ast.parse(source))) != []


def test_an_undeclared_private_attribute_is_found() -> None:
    tree = ast.parse("def is_shut_down(exporter):\n    return exporter._shutdown")
    assert undeclared_attributes(tree, ()) == {"_shutdown"}
    assert undeclared_attributes(tree, [HttpExporterHooks]) == set()


class Override(SpanProcessor):
    def _on_ending(self, span: Span) -> None:
        pass


def test_an_undeclared_override_is_found() -> None:
    (node,) = ast.parse(inspect.getsource(Override)).body
    assert isinstance(node, ast.ClassDef)
    assert undeclared_overrides(node, Override) == {"_on_ending"}


def test_pins_are_those_of_the_tested_versions() -> None:
    project = tomllib.loads((ROOT / "shared" / "telemetry" / "pyproject.toml").read_text())["project"]
    pins = dict(re.findall(r"^([\w-]+)(.*)", each)[0] for each in project["dependencies"])
    stable = {name for name in pins if re.search(r"-(api|sdk|proto|exporter-otlp)$", name)}
    assert {pins[name] for name in stable} == {f"~={TESTED_SDK}"}
    others = {pins[name] for name in pins if name.startswith("opentelemetry-") and name not in stable}
    assert len(others) == 1
    lock = (ROOT / "requirements.lock").read_text()
    for name in (name for name in pins if name.startswith("opentelemetry-")):
        assert f"\n{name}=={TESTED_SDK if name in stable else others.copy().pop().removeprefix('==')} " in lock


@pytest.mark.parametrize(
    ("installed", "tested"),
    [("1.45.1", True), ("1.45.12", True), ("1.45.0", False), ("1.46.0", False), ("2.0", False), ("1.45.1rc1", False)],
)
def test_a_later_patch_of_the_tested_series_is_tested(
    monkeypatch: pytest.MonkeyPatch, installed: str, tested: bool
) -> None:
    monkeypatch.setattr(sdk_internals, "TESTED_SDK", "1.45.1")
    monkeypatch.setattr(sdk_internals, "INSTALLED_SDK", installed)
    assert is_tested() == tested


# With an untested SDK


@pytest.fixture
def _untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_internals, "INSTALLED_SDK", "99.0.0")


def test_the_installed_sdk_is_tested() -> None:
    assert is_tested(), INSTALLED_SDK


@pytest.mark.usefixtures("_untested")
def test_an_untested_sdk_makes_its_own_spans_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    providers = find_or_make_providers(Resource({}), "http://127.0.0.1:1", Supervisor())
    try:
        assert type(providers.tracers) is TracerProvider
        assert type(providers.meters) is MeterProvider
    finally:
        providers.shutdown()


@pytest.mark.usefixtures("_untested")
def test_an_untested_sdk_encodes_its_own_spans() -> None:
    (exporter,) = span_exporters("http://127.0.0.1:1", {})
    assert type(exporter) is OTLPSpanExporter
    exporter.shutdown()


@pytest.mark.usefixtures("_untested")
def test_an_untested_sdk_reads_metrics_by_its_own_thread() -> None:
    reader = _make_reader(ConsoleMetricExporter(), Supervisor())
    assert not isinstance(reader, TickingReader)
    MeterProvider([reader], shutdown_on_exit=False).shutdown()


@pytest.mark.usefixtures("_untested")
def test_an_untested_sdk_keeps_its_containers_in_the_queue() -> None:
    memory = InMemorySpanExporter()
    queue = ExportQueue(SdkExporter(memory), count_octets)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(QueueProcessor(queue))
    provider.get_tracer("test").start_span("x").end()
    queue.force_flush()
    (span,) = memory.get_finished_spans()
    assert span._events != ()


def test_an_untested_sdk_is_reported_once() -> None:
    code = """
from relate_telemetry import sdk_internals, setup
sdk_internals.INSTALLED_SDK = setup.INSTALLED_SDK = "99.0.0"
converse(start())
converse(start())
"""
    out, errors = run_python(code)
    assert errors == "OpenTelemetry SDK 99.0.0 is untested; the stock spans are used, and logs are not exported\n"
    assert len(out.splitlines()) == 6
