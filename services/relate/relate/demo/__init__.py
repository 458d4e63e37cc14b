"""The demo account and the load generator `relate traffic`."""
