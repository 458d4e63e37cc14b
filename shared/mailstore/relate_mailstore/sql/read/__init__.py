"""Reads of mailboxes and messages, and their caches."""
