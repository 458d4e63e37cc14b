"""Unique secrets, and the search for them in telemetry and output."""

import base64
from uuid import uuid4

TAIL_CHARACTERS = 12  # a truncated message may contain just these; unique per secret


class Secrets:
    """The secrets of a test."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def create(self, kind: str) -> str:
        """Create a unique secret."""
        return self.add(f"Zq{kind}{uuid4().hex}")

    def add(self, secret: str) -> str:
        """Add a secret that was created elsewhere."""
        self.all.append(secret)
        return secret

    def find_in(self, text: str) -> list[str]:
        """The secrets that a text contains, as they are or in base64."""
        return [secret for secret in self.all if any(form in text for form in encodings(secret[-TAIL_CHARACTERS:]))]


def encodings(secret: str) -> list[str]:
    """A secret, and its base64 at each of the three alignments."""
    forms = [secret]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode().rstrip("=")
        forms.append(encoded[2 * offset : -1])  # the outer characters depend on the context
    return forms
