"""Languages: pure, sans-I/O, both directions of one language in one room."""
