"""The export of telemetry: choice of exporters, queue of spans and log lines, OTLP over gRPC and HTTP, console."""
