"""Questions to the DNS: the port `ports.Dns`, and `resolver.Resolver`, which asks name servers and caches answers.

`names` has the form in which domains and addresses are resolved and compared; `nameserver` is one exchange, within
bounds; `sts_record` reads the record that announces an MTA-STS policy.
"""
