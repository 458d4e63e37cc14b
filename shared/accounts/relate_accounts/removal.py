"""The block on addresses of removed users."""

from datetime import timedelta

BLOCK_PERIOD = timedelta(days=30)
"""Long enough for senders to get bounces, for open sessions to end, and for late mail to be erased."""
