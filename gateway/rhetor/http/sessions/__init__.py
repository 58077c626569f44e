"""Our own door to sessions: `/v1/sessions`."""
