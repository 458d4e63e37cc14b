"""JSON schemas of local domains."""

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
    """A local domain. `added` is null if only the addresses of users make it local. The first keys sign."""

    name: str
    added: datetime | None
    addresses: int
    keys: list[DomainKeyDetails]

    @classmethod
    def of(cls, domain: Domain, keys: list[DomainKey]) -> "DomainDetails":
        """Convert a domain with its keys."""
        details = [DomainKeyDetails.model_validate(key) for key in keys]
        return cls(name=domain.name, added=domain.added, addresses=domain.addresses, keys=details)


class DomainList(Page[DomainDetails]):
    """All domains by name, on one page."""


class NewDomainRequest(RequestModel):
    """The domain to add."""

    name: DomainName
