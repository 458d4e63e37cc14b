"""MTA-STS (RFC 8461): a recipient's domain requires TLS with verified certificates of the hosts that its policy names.

`lookup.MtaSts` finds the policy of a domain: `record` reads the TXT record that announces it, `fetch` gets it by HTTPS,
`policy` parses and applies it, `store` caches it.
"""

from relate_outbound.dns.sts_record import find_id
from relate_relay.routing.mta_sts.fetch import PolicyFetcher
from relate_relay.routing.mta_sts.lookup import Lookup, MtaSts
from relate_relay.routing.mta_sts.policy import Mode, Policy, StsFault, format_policy, parse_policy
from relate_relay.routing.mta_sts.store import MAX_STORED_POLICIES, MemoryPolicyStore, PolicyStore, StoredPolicy

__all__ = [
    "MAX_STORED_POLICIES",
    "Lookup",
    "MemoryPolicyStore",
    "Mode",
    "MtaSts",
    "Policy",
    "PolicyFetcher",
    "PolicyStore",
    "StoredPolicy",
    "StsFault",
    "find_id",
    "format_policy",
    "parse_policy",
]
