"""The words that every room uses. Nouns only, no I/O."""
