"""The published registry of telemetry: `python -m deploy.registry` writes docs/registry/ from `relate_telemetry`."""
