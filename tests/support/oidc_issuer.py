"""An OpenID Connect issuer on loopback: a discovery document, a key set, and tokens that it signs.

async with OidcIssuer() as issuer:
    token = issuer.token(sub="1", email="carol@example.org", email_verified=True)
"""

import asyncio
import json
import time
import warnings
from contextlib import suppress
from typing import Any, Self
from urllib.parse import parse_qsl

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

HOST = "127.0.0.1"
AUDIENCE = "relate"
LIFETIME_SECONDS = 300

Key = RSAKey | ECKey

# Made once, because making an RSA key takes a tenth of a second.
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
with warnings.catch_warnings(action="ignore"):
    SHORT_RSA = RSAKey.generate_key(1024, {"kid": "short"})


def ec_key(key_id: str) -> ECKey:
    """A new key on P-256."""
    return ECKey.generate_key("P-256", {"kid": key_id})


class OidcIssuer:
    """The server. `keys` are those that it shows; `requests` has the path of each request."""

    def __init__(self) -> None:
        self.keys: list[Key] = [RSA, ec_key("ec")]
        self.extra_keys: list[dict[str, Any]] = []
        """Further members of the key set, as they are."""
        self.discovery: dict[str, Any] = {}
        """Replaces members of the discovery document."""
        self.status = "200 OK"
        self.content: bytes | None = None
        """Replaces every content."""
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        """The forms that the token endpoint got, each with the field Authorization."""
        self.posted = asyncio.Semaphore(0)
        """Released at each of these forms."""
        self.unanswered = self.most_unanswered = 0
        """Requests that were not answered, at this moment and at most."""
        self.answer: dict[str, Any] = {}
        """What the token endpoint answers."""
        self.answering = asyncio.Event()
        """No request is answered before this is set, which it is at first."""
        self.answering.set()
        self.authority = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.authority = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def token(self, key: Key | None = None, alg: str = "", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token, by default a valid one that the first key signs; a claim that is None is left out."""
        key = key or self.keys[0]
        algorithm = alg or ("RS256" if isinstance(key, RSAKey) else "ES256")
        now = int(time.time())
        stated = {"iss": self.authority, "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + LIFETIME_SECONDS}
        signed = {name: value for name, value in {**stated, **claims}.items() if value is not None}
        fields = {"alg": algorithm, "kid": key.kid, **(header or {})}
        shown = {name: value for name, value in fields.items() if value is not None}
        return jwt.encode(shown, signed, key, [algorithm])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = request.split()[1]
                self.requests.append(path)
                if request.startswith("POST"):
                    self.forms.append(await _read_form(request, reader))
                    self.posted.release()
                await self.answering.wait()
                content = json.dumps(self._document(path)).encode() if self.content is None else self.content
                head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + content)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            self.unanswered -= 1
            writer.transport.abort()

    def _document(self, path: str) -> dict[str, Any]:
        if path.endswith("/openid-configuration"):
            named = {
                "authorization_endpoint": f"{self.authority}/authorize",
                "token_endpoint": f"{self.authority}/token",
            }
            return {"issuer": self.authority, "jwks_uri": f"{self.authority}/keys", **named, **self.discovery}
        if path == "/token":
            return self.answer
        return {"keys": [*(key.as_dict(private=False) for key in self.keys), *self.extra_keys]}


async def _read_form(head: str, reader: asyncio.StreamReader) -> dict[str, str]:
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    fields = {name.lower(): value for name, _, value in lines}
    body = await reader.readexactly(int(fields["content-length"]))
    return {**dict(parse_qsl(body.decode())), "Authorization": fields.get("authorization", "")}
