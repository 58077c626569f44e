"""Trips: one path for every request, from admission to the books."""
