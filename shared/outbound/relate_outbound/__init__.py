"""Requests to servers that others may have named, so that none of them leads to an inner service."""
