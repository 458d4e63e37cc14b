"""Logging of commands to a terminal. Escapes control characters, because logged text may come from attackers."""

import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from relate_telemetry.redaction import safe_traceback
from relate_telemetry.visible import visible

__all__ = ["log_to_console", "visible"]


def log_to_console() -> None:
    """Log to stderr in human-readable form, without the values of local variables."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            escape_controls,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def escape_controls(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor that escapes control and bidirectional characters."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in event.items()}


def _write_traceback(output: TextIO, exc_info: ExcInfo) -> None:
    output.write("\n".join(map(visible, safe_traceback(exc_info[1]).splitlines())))
