"""Where mail goes: the hosts of a domain in order, their addresses, and the rules for TLS.

`mx.find_route` finds the hosts of a domain, `endpoints.endpoints` their addresses as they are needed, both through the
port `Dns` of `relate_outbound.dns`, which its `Resolver` implements. `smarthost` and `tls_policy` are the
administrator's decisions by domain, `mta_sts` is the recipient domain's. `private` keeps names of strangers from
leading to inner services.
"""
