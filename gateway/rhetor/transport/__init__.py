"""Sockets out: the only room that opens connections to providers."""
