"""Exports telemetry: the choice of exporters, the span queue, OTLP over gRPC and HTTP, the console."""
