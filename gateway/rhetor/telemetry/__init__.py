"""What operators see: metrics declared in one table, logs redacted in one place."""
