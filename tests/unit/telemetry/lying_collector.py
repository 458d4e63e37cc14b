"""A Collector that gives the answers that a test chooses, over gRPC and over HTTP."""

import logging
import socket
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc  # type: ignore[import-untyped] # grpcio has no annotations
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped] # without annotations
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.telemetry.received import Received

MAX_REQUEST_OCTETS = 4 * 2**20  # gRPC's default, which the Collector has over HTTP, too


class Answer(NamedTuple):
    """What is answered to one request: `code` and `retry_info` over gRPC, `status` and `retry_after` over HTTP."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    retry_info: bytes | None = None
    retry_after: str | None = None


ACCEPTED = Answer()
UNSUPPORTED = Answer(grpc.StatusCode.UNIMPLEMENTED, HTTPStatus.NOT_FOUND)
MALFORMED = Answer(grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST)


def busy(seconds: int) -> Answer:
    """The answer that asks for another attempt after some seconds."""
    info = RetryInfo()
    info.retry_delay.FromSeconds(seconds)
    return Answer(
        grpc.StatusCode.UNAVAILABLE,
        HTTPStatus.SERVICE_UNAVAILABLE,
        retry_info=info.SerializeToString(),
        retry_after=str(seconds),
    )


def partial_success(rejected: int) -> Answer:
    """The answer that rejects some items. That of log lines has the same octets."""
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message="too old")
    return Answer(body=ExportTraceServiceResponse(partial_success=partial).SerializeToString())


class LyingCollector:
    """Gives `answers` in turn, then `finally_`, and stores what it accepted; a context manager."""

    def __init__(self, *answers: Answer, finally_: Answer = ACCEPTED, grpc_port: int = 0, http_port: int = 0) -> None:
        self.received = Received()
        self.sizes: list[int] = []  # octets of each request
        self._answers = deque(answers)
        self._finally = finally_
        self._grpc = grpc.server(ThreadPoolExecutor(max_workers=1))
        self._grpc.add_generic_rpc_handlers([_GrpcHandler(self)])
        self._http = _HttpServer(("127.0.0.1", http_port), _HttpHandler)
        self._http.collector = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self.ports = {
            "grpc": self._grpc.add_insecure_port(f"127.0.0.1:{grpc_port}"),
            "http/protobuf": self._http.server_address[1],
        }

    def __enter__(self) -> Self:
        self._grpc.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._grpc.stop(grace=None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, path: str, octets: bytes) -> Answer:
        """Choose the answer to a request."""
        self.sizes.append(len(octets))
        answer = self._answers.popleft() if self._answers else self._finally
        if answer.code is not grpc.StatusCode.OK or answer.status is not HTTPStatus.OK:
            return answer
        if "logs" in path:
            self.received.add_logs(ExportLogsServiceRequest.FromString(octets))
        else:
            self.received.add_traces(ExportTraceServiceRequest.FromString(octets))
        return answer


class _GrpcHandler(grpc.GenericRpcHandler):  # type: ignore[misc] # without annotations
    def __init__(self, collector: LyingCollector) -> None:
        self._collector = collector

    def service(self, handler_call_details: Any) -> Any:
        def export(request: bytes, context: Any) -> bytes:
            answer = self._collector.answer(handler_call_details.method, request)
            if answer.retry_info is not None:
                context.set_trailing_metadata((("google.rpc.retryinfo-bin", answer.retry_info),))
            if answer.code is not grpc.StatusCode.OK:
                context.abort(answer.code, "as the test wants it")
            return answer.body

        return grpc.unary_unary_rpc_method_handler(export)


class _HttpServer(ThreadingHTTPServer):
    allow_reuse_port = True
    collector: LyingCollector


class _HttpHandler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        if len(octets) > MAX_REQUEST_OCTETS:
            answer = Answer(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            answer = self.server.collector.answer(self.path, octets)
        self.send_response(answer.status)
        if answer.retry_after is not None:
            self.send_header("Retry-After", answer.retry_after)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name for it
        """Log nothing."""


def silent_collector() -> socket.socket:
    """Accepts connections, and never answers."""
    return socket.create_server(("127.0.0.1", 0))


def stopped_collector() -> socket.socket:
    """Reserves a port that refuses connections, until a LyingCollector listens on it, too."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


@contextmanager
def babbling_collector(octets: bytes) -> Iterator[int]:
    """A port that answers every connection with some octets."""

    def babble() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            with connection:
                connection.sendall(octets)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=babble, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@contextmanager
def first_report() -> Iterator[threading.Event]:
    """An event that the first line of an exporter about a failure sets, also where such lines are throttled."""
    reported = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reported.set()

    parent, handler = logging.getLogger("opentelemetry"), Handler(logging.WARNING)
    names = [name for name in logging.root.manager.loggerDict if name.startswith(f"{parent.name}.exporter")]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(logging.getLogger(name), "filters", [])
        parent.addHandler(handler)
        yield reported
        parent.removeHandler(handler)
