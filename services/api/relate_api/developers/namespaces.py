"""Namespaces, so that tests side by side do not see each other's mail. Pure.

The namespace of an address is what follows the last `+` of its local part: `alice+signup@example.test` is in `signup`.
A request with the field `X-Relate-Namespace` has its addresses completed: `alice@example.test` is then that mailbox.
"""

import re

FIELD = "X-Relate-Namespace"

RULE = "1 to 32 letters, digits, hyphens, underscores and single dots, with a letter or digit first and no dot last"

_NAMESPACE = re.compile(r"(?=.{1,32}\Z)[a-z0-9](?:\.?[a-z0-9_-])*+")  # within a dot-atom (RFC 5322 §3.2.3)


def parse_namespace(text: str) -> str | None:
    """The namespace of a field; None if it is malformed. Letters are case-insensitive, as in addresses."""
    namespace = text.strip().lower()
    return namespace if _NAMESPACE.fullmatch(namespace) else None


def namespace_of(address: str) -> str:
    """The namespace of an address or local part, empty without one."""
    local_part = address.rpartition("@")[0] if "@" in address else address
    return local_part.removesuffix('"').rpartition("+")[2].lower() if "+" in local_part else ""


def within(address: str, namespace: str) -> str:
    """The address in a namespace; one that is in it, or any if the namespace is empty, is returned unchanged."""
    if not namespace or namespace_of(address) == namespace:
        return address
    local_part, at, domain = address.rpartition("@") if "@" in address else (address, "", "")
    quote = '"' if local_part.endswith('"') else ""
    return f"{local_part.removesuffix(quote)}+{namespace}{quote}{at}{domain}"


def complete(login: str, server_name: str) -> str:
    """The address of a login: the login itself, or with the server's name as its domain."""
    return login if "@" in login else f"{login}@{server_name}"
