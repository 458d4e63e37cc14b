"""Users, addresses, API keys, and the authenticator of all protocols."""
