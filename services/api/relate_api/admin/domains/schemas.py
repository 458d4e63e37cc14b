"""JSON schemas of local domains."""

from collections.abc import Sequence
from datetime import datetime

from relate_accounts.types import Domain, DomainKey
from relate_api.admin.schemas import DomainName
from relate_api.schemas import Page, RequestModel, ResponseModel


class DomainKeyDetails(ResponseModel):
    """The public half of a domain's DKIM keys: TXT records by name, to be published in the DNS."""

    selector: str
    created: datetime | None
    records: dict[str, str]


class DomainDetails(ResponseModel):
    """A local domain. `added` is null if only the addresses of users make it local. The first keys sign.

    `dnsRecords` are lines of a zone file, to be published: MX, SPF, DKIM, DMARC, and those by which mail programs and
    other servers find what is served.
    """

    name: str
    added: datetime | None
    addresses: int
    keys: list[DomainKeyDetails]
    dns_records: list[str]

    @classmethod
    def of(cls, domain: Domain, keys: Sequence[DomainKey], dns_records: list[str]) -> "DomainDetails":
        """Convert a domain with its keys and records."""
        return cls(
            name=domain.name,
            added=domain.added,
            addresses=domain.addresses,
            keys=[DomainKeyDetails.model_validate(key) for key in keys],
            dns_records=dns_records,
        )


class DomainList(Page[DomainDetails]):
    """All domains by name, on one page."""


class NewDomainRequest(RequestModel):
    """The domain to add."""

    name: DomainName
