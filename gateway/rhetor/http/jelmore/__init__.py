"""Sessions as Jelmore's callers know them, on top of ours."""
