"""The queue of outgoing mail."""
