"""The demo account and the demo traffic."""
