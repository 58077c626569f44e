"""Programs of others that this gateway starts, watches and ends."""
