"""`make fuzz`: mutated inputs for every function that parses untrusted octets."""
