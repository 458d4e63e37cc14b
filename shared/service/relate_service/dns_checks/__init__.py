"""Checks of what the DNS says, for `relate doctor` and the page.

`server` checks the names and addresses of this server, `domain`, with `spf` and `tags`, the records of a domain,
`records` compares them one by one, `asking` opens the resolver.
"""
