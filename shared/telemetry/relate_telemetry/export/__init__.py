"""Exports telemetry: the choice of exporters, the queue of spans and log lines, OTLP over gRPC and HTTP, the console."""
