"""DKIM (RFC 6376): what a message must become for its next hop, and its signature over that.

Start reading at `next_hop.prepare`, which is called first, because what is signed must be what is received; then
`signing.sign`. `offload` calls both in a thread. `keys` has the private keys, and the records that the DNS publishes.
"""
