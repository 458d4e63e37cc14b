"""A stop or a reload may be asked for at any moment, also before there is anything to stop and after all is stopped.

Then it is held: it is heard when the loop runs, or the process ends by itself anyway. Imported first of all, so this
imports next to nothing.
"""

import signal

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Read the certificates again. Its default action would end the process.
RELOAD_SIGNAL = signal.SIGHUP


def block_signals() -> None:
    """Let whatever asks for a stop, or for a reload, wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, RELOAD_SIGNAL))


def unblock_signals() -> None:
    """Hear what has waited, and what comes from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, RELOAD_SIGNAL))
