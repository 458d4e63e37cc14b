"""Secrets and signatures of webhooks, by the Standard Webhooks specification (symmetric signatures, `v1`). Pure."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256

from relate_mailstore.webhook_types import Webhook, WebhookDelivery

SECRET_PREFIX = "whsec_"  # noqa: S105 - not a secret
SECRET_OCTETS = 32  # the specification allows 24 to 64


def make_secret() -> str:
    """A new random secret."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_OCTETS)).decode()


def signed_fields(webhook: Webhook, delivery: WebhookDelivery, now: float) -> Mapping[str, str]:
    """The fields that sign a delivery, at this time in seconds since the epoch; with both secrets after a rotation."""
    identifier, timestamp = str(delivery.id), str(int(now))
    content = f"{identifier}.{timestamp}.{delivery.body}".encode()
    signatures = (f"v1,{_sign(secret, content)}" for secret in _valid_secrets(webhook, now))
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _valid_secrets(webhook: Webhook, now: float) -> Iterator[str]:
    yield webhook.secret
    if webhook.previous_secret and now < webhook.previous_until:
        yield webhook.previous_secret


def _sign(secret: str, content: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    return b64encode(hmac.digest(key, content, sha256)).decode()
