"""Spans and metrics of sessions, transactions and commands: `ports` on the OpenTelemetry SDK."""

from relate_telemetry.commands.command import current_command
from relate_telemetry.commands.protocol import ProtocolSpans

__all__ = ["ProtocolSpans", "current_command"]
