"""Repeats what a fault does until its container is stopped."""

import imaplib
import signal
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def block_stop_signals() -> None:
    """Leave the signals to `wait_for_stop`. For the main thread, before others are started, which inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def wait_for_stop(seconds: float | None = None) -> bool:
    """Wait until the container is stopped, at most for these seconds; returns whether it is."""
    if seconds is None:
        return bool(signal.sigwait(STOP_SIGNALS))
    return signal.sigtimedwait(STOP_SIGNALS, seconds) is not None


def repeat(step: Callable[[], object], pause_seconds: float) -> None:
    """Call `step` again and again until the container is stopped. A server that restarts is tried again."""
    while True:
        try:
            step()
        except (OSError, imaplib.IMAP4.error) as error:  # SMTPException is an OSError
            log.info("answered or unreachable", error=f"{type(error).__name__}: {error}")
        if wait_for_stop(pause_seconds):
            return
