"""Blocks the signals for stop and reload while no handler is installed: before the loop starts, and after it ends.

A blocked signal stays pending until the loop runs, or the process exits. Imported before all else, so it imports
little.
"""

import signal

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Reloads the certificates. The default action would terminate the process.
RELOAD_SIGNAL = signal.SIGHUP


def block_signals() -> None:
    """Block the signals for stop and reload; they stay pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, RELOAD_SIGNAL))


def unblock_signals() -> None:
    """Deliver pending and further signals."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, RELOAD_SIGNAL))
