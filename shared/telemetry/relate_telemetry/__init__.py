"""The telemetry contract on OpenTelemetry: set-up, names, the command seam."""
