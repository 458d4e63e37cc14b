"""Whether the relay can sign: the private DKIM keys of the domains."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from relate_accounts.types import DomainKey
from relate_relay.dkim.key_directory import InvalidKeyName, KeyDirectory, KeyUnusable
from relate_relay.dkim.keys import public_record
from relate_service.findings import Finding, error, ok, warning

UNSIGNED = "until then mail of the domain is sent unsigned"


async def check_keys(directory: Path, keys: Mapping[str, Sequence[DomainKey]]) -> list[Finding]:
    """Check the private keys of each domain's newest selector; `keys` has the newest first."""
    return [await asyncio.to_thread(_check, KeyDirectory(directory), *each) for each in keys.items()]


def _check(directory: KeyDirectory, domain: str, keys: Sequence[DomainKey]) -> Finding:
    subject = f"{domain} keys"
    if not keys:
        return warning(subject, "no DKIM keys, so that mail is sent unsigned", f"run: relate domain add {domain}")
    newest = keys[0]
    try:
        found = directory.load(domain, newest.selector)
    except (KeyUnusable, InvalidKeyName) as fault:
        return error(subject, str(fault), UNSIGNED)
    pair = filter(None, (found.rsa, found.ed25519))
    if {key.record_name: public_record(key) for key in pair} != dict(newest.records):
        text = f"the keys in {directory.path} are not those whose records `relate domain dns` prints"
        return error(subject, text, "restore them with the database, or make others: relate domain add … --selector …")
    return ok(subject, f"selector {newest.selector} signs")
