"""The chat platform's door: accounts, sessions and messages as its callers know them, on sessions of ours."""
