"""How long a request with an Idempotency-Key is remembered. What every store follows."""

RETENTION_SECONDS = 24 * 3600.0
"""Clients repeat a request within minutes; a day covers those that were offline."""
