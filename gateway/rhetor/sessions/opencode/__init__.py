"""OpenCode: a server of its own for every session."""
