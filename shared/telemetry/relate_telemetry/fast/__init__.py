"""Replacements of the SDK's most expensive parts. Each falls back to the SDK's own where it is asked for more."""
