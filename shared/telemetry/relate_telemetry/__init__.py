"""Telemetry of sessions, commands, logins and stores on OpenTelemetry."""
