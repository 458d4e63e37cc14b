"""Sets telemetry up, once per process: resource, providers, exporters, and the caller's additions.

Telemetry never delays mail: a service runs the same when its collector is down. Call it after a fork, not before,
because each worker process is a service instance.
"""

import atexit
import logging
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar
from urllib.parse import urlsplit

from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_pascal

from relate_supervisor import Supervisor
from relate_telemetry.logs import throttle_exporters
from relate_telemetry.names import NAMESPACE
from relate_telemetry.providers import Pipeline, find_or_make_providers
from relate_telemetry.redaction import UserNames
from relate_telemetry.sdk_internals import INSTALLED_SDK, is_tested
from relate_telemetry.telemetry import Telemetry, no_telemetry

__all__ = ["Telemetry", "TelemetrySettings", "add_relate_telemetry", "build_resource"]

_SERVICE_NAMESPACE = "service.namespace"  # not among the stable constants of the semantic conventions yet

_logger = logging.getLogger(__name__)
_running: dict[int, Telemetry] = {}  # by process id, because a forked child needs its own


class TelemetrySettings(BaseModel):
    """`Otel__Endpoint` (http or https URL; default: the console), `Otel__UserNames` (clear, hash or drop) and more."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, extra="forbid", frozen=True)
    prefix: ClassVar[str] = "Otel"

    endpoint: str | None = None
    user_names: UserNames = "clear"
    pipeline: Pipeline = "fast"
    """Which code makes spans and metrics: ours, or with `sdk` that of the OpenTelemetry SDK, to compare the two."""
    verbose: bool = False
    """Whether the console shows every span, not only commands and errors."""

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if not value:  # compose files set an empty variable where there is none
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an http or https URL is needed, such as http://otel-collector:4317")
        return value


def add_relate_telemetry(
    settings: TelemetrySettings,
    service_name: str,
    configure_tracing: Callable[[TracerProvider], None] | None = None,
    configure_metrics: Callable[[MeterProvider], None] | None = None,
    supervisor: Supervisor | None = None,
) -> Telemetry:
    """Set telemetry up for this process and return it. Further calls return the same object, with any arguments.

    `configure_tracing` and `configure_metrics` are given the providers, to add instrumentation or processors.
    `supervisor` runs the threads that export; the failures that it counts are exported as a metric.
    A provider that is already installed (`opentelemetry-instrument`) is used unchanged. The standard OTEL_* variables
    win over the settings. Raises ValueError naming a malformed variable.
    """
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        return no_telemetry()
    process = os.getpid()
    if process not in _running:
        _running[process] = _set_up(
            settings, service_name, configure_tracing, configure_metrics, supervisor or Supervisor()
        )
    return _running[process]


def _set_up(
    settings: TelemetrySettings,
    service_name: str,
    configure_tracing: Callable[[TracerProvider], None] | None,
    configure_metrics: Callable[[MeterProvider], None] | None,
    supervisor: Supervisor,
) -> Telemetry:
    throttle_exporters()
    if not is_tested():
        _logger.warning(
            "OpenTelemetry SDK %s is untested; the stock spans are used, and logs are not exported", INSTALLED_SDK
        )
    providers = find_or_make_providers(
        build_resource(service_name),
        settings.endpoint,
        supervisor,
        verbose=settings.verbose,
        pipeline=settings.pipeline,
    )
    if configure_tracing is not None:
        configure_tracing(providers.tracers)
    if configure_metrics is not None:
        configure_metrics(providers.meters)

    process = os.getpid()

    def shut_down() -> None:
        atexit.unregister(telemetry.shutdown)
        _running.pop(process, None)
        providers.shutdown()

    telemetry = Telemetry(providers.tracers, providers.meters, settings.user_names, shut_down)
    atexit.register(telemetry.shutdown)
    return telemetry


def build_resource(service_name: str) -> Resource:
    """The resource of a service. The SDK adds service.instance.id, new in each process; the OTEL_* variables win."""
    own = {SERVICE_NAME: service_name, SERVICE_VERSION: _version(service_name), _SERVICE_NAMESPACE: NAMESPACE}
    return _HashedResource(Resource.create(own).merge(OTELResourceDetector().detect()))


class _HashedResource(Resource):
    """A resource that caches its hash: exporters need it for every span, and the SDK writes JSON to compute it."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def _version(service_name: str) -> str:
    try:
        return version(service_name)
    except PackageNotFoundError:
        return version("relate-telemetry")  # all members are released together
