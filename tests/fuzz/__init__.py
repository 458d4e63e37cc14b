"""`make fuzz`: mutated inputs for every function that reads octets of strangers and clients."""
