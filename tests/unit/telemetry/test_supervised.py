"""The threads that export continue after an exception, and failures of background tasks are a metric."""

import threading
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult, MetricsData
from structlog.testing import capture_logs

from relate_supervisor import Backoff, Supervisor
from relate_telemetry.names import BACKGROUND_FAILURES
from relate_telemetry.providers import _export_counts, _SupervisedReader

TIMEOUT_SECONDS = 10.0
SHORT_BACKOFF = Backoff(0.001, 0.001, 60.0)


class EventExporter(MetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.exported = threading.Event()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        self.exported.set()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


def test_a_failed_collection_of_metrics_does_not_end_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, sink = Supervisor(SHORT_BACKOFF), EventExporter()
    errors = iter([ValueError("a bug"), ValueError("a bug")])
    receive = _SupervisedReader._receive_metrics

    def fail_at_first(reader: _SupervisedReader, *arguments: Any, **options: Any) -> None:
        if error := next(errors, None):
            raise error
        receive(reader, *arguments, **options)

    monkeypatch.setattr(_SupervisedReader, "_receive_metrics", fail_at_first)
    with capture_logs() as logs:
        meters = MeterProvider([_SupervisedReader(sink, 1.0, supervisor)], shutdown_on_exit=False)
        meters.get_meter("test").create_counter("n").add(1)
        assert sink.exported.wait(TIMEOUT_SECONDS)
        meters.shutdown()
    assert supervisor.failures == {"telemetry.metrics": 2}
    assert [entry["task"] for entry in logs] == ["telemetry.metrics"] * 2


def test_failures_of_background_tasks_are_counted_by_task_from_0() -> None:
    reader = InMemoryMetricReader()
    meters, supervisor = MeterProvider([reader], shutdown_on_exit=False), Supervisor()
    supervisor.failures.update({"mailstore.upkeep": 0, "wire.accept": 0})
    _export_counts(meters, BACKGROUND_FAILURES, "task", supervisor.failures)
    with capture_logs():
        supervisor.report("wire.accept", ValueError("a bug"))
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    points: Any = metric.data.data_points
    assert metric.name == BACKGROUND_FAILURES
    assert {(point.attributes or {})["task"]: point.value for point in points} == {
        "mailstore.upkeep": 0,
        "wire.accept": 1,
    }
    meters.shutdown()
