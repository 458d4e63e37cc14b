"""Exports telemetry: the choice of exporters, the queue, OTLP over gRPC and HTTP, the console, Prometheus."""
