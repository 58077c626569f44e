"""What authors of providers import: one file for each language, without dependencies."""
