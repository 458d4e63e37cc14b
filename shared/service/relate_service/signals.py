"""A stop may be asked for at any moment, also before there is anything to stop and after all is stopped.

Then it is held: it is heard when the loop runs, or the process ends by itself anyway. Imported first of all, so this
imports next to nothing.
"""

import signal

STOPS = (signal.SIGTERM, signal.SIGINT)


def hold_stops() -> None:
    """Let whatever asks for a stop wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def release_stops() -> None:
    """Hear what has waited, and what comes from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
