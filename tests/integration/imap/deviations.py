"""Where our answers differ from Dovecot's, and by what right. What differs and is not here is a fault.

`python -m tests.integration.imap.deviations` prints the table of docs/protocols.md.
"""

import re
from typing import NamedTuple


class Deviation(NamedTuple):
    """`exchange` is sought in the exchange's text, `fact` in the name of what differs: both regular expressions."""

    exchange: str
    fact: str
    rfc: str
    why: str

    def allows(self, exchange: str, fact: str) -> bool:
        """Whether it is about this difference."""
        return bool(re.search(self.exchange, exchange) and re.search(self.fact, fact))


DEVIATIONS: tuple[Deviation, ...] = ()


def table() -> str:
    """As Markdown: each reason once."""
    rows = {(deviation.rfc, deviation.why): None for deviation in DEVIATIONS}
    lines = [f"| {rfc} | {why} |" for rfc, why in rows]
    return "\n".join(["| RFC | how our answer differs from Dovecot's, and why |", "|---|---|", *lines])


if __name__ == "__main__":
    print(table())
