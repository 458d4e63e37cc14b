"""Replacements of the SDK's four most expensive parts. Each falls back to the SDK's own where it is limited."""
