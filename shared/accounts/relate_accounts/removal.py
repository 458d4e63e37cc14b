"""How long the addresses of a removed user are kept from others."""

from datetime import timedelta

BLOCK_PERIOD = timedelta(days=30)
"""Time enough for senders to hear that the address is gone, and for sessions and stray mail to be cleared away."""
