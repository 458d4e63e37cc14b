"""The key by which push services know this server, and the field that proves it (VAPID, RFC 8292)."""

from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from relate_mailstore.ports import PushSubscriptions

TOKEN_SECONDS = 12 * 3600  # at most a day (RFC 8292 §2)

_UNCOMPRESSED = b"\x04"  # SEC 1 §2.3.3
_CURVE = "P-256"
_DEFAULT_PORTS = {"https": 443, "http": 80}


def make_key() -> str:
    """A new private key, as PEM (PKCS #8)."""
    return ECKey.generate_key(_CURVE).as_pem(private=True).decode()


class VapidKey:
    """A private key, in PEM. `contact` is the URL at which its owner is reached (RFC 8292 §2.1)."""

    def __init__(self, pem: str, contact: str) -> None:
        self._key = ECKey.import_key(pem)
        self._contact = contact
        point = self._key.as_dict(private=False)
        x, y = (urlsafe_b64decode(str(point[name]).encode()) for name in ("x", "y"))
        self.public = urlsafe_b64encode(_UNCOMPRESSED + x + y).decode()
        """The public key in unpadded base64url: the `applicationServerKey` of a browser's subscription."""

    def authorization(self, endpoint: str, now: float) -> str:
        """The Authorization field of a request to an endpoint, at a time in seconds since the epoch (RFC 8292 §3)."""
        claims = {"aud": _origin(endpoint), "exp": int(now) + TOKEN_SECONDS, "sub": self._contact}
        token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._key)
        return f"vapid t={token}, k={self.public}"


async def load_key(subscriptions: PushSubscriptions, contact: str) -> VapidKey:
    """The key that all processes of this installation share, made at the first start. Raises StoreUnavailable."""
    return VapidKey(await subscriptions.server_key(make_key()), contact)


def _origin(url: str) -> str:
    """The origin of a URL (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
