"""The transactions that change mail, and the `Committer` that runs them."""
