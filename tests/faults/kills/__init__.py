"""Sessions whose gateway, agents and clients are killed again and again, and how it is seen what was lost."""
