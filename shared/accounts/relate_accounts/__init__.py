"""Users, addresses, API keys and the one authenticator."""
