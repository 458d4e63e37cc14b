"""The MTA-STS policy of local domains: what other servers may expect of our TLS (RFC 8461 §3). Pure.

The policy is the same for all domains, because all have the same MX host, `Smtp__ServerName`. It has an effect for a
domain only when its record `_mta-sts.<domain>` is published, which `relate domain dns` prints.
"""

import hashlib

from relate_api.installation import MtaStsSettings

ID_CHARACTERS = 20
"""Of the 32 that an id may have (RFC 8461 §3.1)."""


def policy_text(settings: MtaStsSettings, server: str) -> str | None:
    """The policy; None if the server has no name that other servers can reach, such as `localhost`."""
    host = server.lower().rstrip(".")
    if "." not in host or host.rpartition(".")[2].isdigit():
        return None
    lines = ("version: STSv1", f"mode: {settings.mode}", f"mx: {host}", f"max_age: {settings.max_age_seconds}")
    return "".join(f"{line}\r\n" for line in lines)


def policy_record(settings: MtaStsSettings, server: str) -> str | None:
    """The value of the TXT record `_mta-sts.<domain>`, whose id changes with the policy; None without a policy."""
    text = policy_text(settings, server)
    if text is None:
        return None
    return f"v=STSv1; id={hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]}"
