"""The output of `relate doctor`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from relate.output import new_table, print_json, stdout

if TYPE_CHECKING:
    from relate.doctor import Finding

MARKS = {"ok": Text("ok", "green"), "warning": Text("!", "yellow"), "error": Text("!!", "red")}


def print_findings(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Print findings as a table, and below it the DNS records to publish, each in a line that can be copied."""
    from relate_service.console import visible

    if as_json:
        print_json([finding.described() for finding in findings])
        return
    table = new_table("", "what", "finding", "what to do")
    for finding in findings:
        cells = (finding.subject, finding.text, _remedy(finding))
        table.add_row(MARKS[finding.level], *(Text(visible(cell)) for cell in cells))
    stdout.print(table)
    records = dict.fromkeys(record for finding in findings for record in finding.records)
    if records:
        print("\nDNS records:", *map(visible, records), sep="\n")


def _remedy(finding: "Finding") -> str:
    return f"{finding.remedy.removesuffix(':')} (below)" if finding.records else finding.remedy
