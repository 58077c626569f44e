"""Guests: providers, services and programs that came from outside, each with a status and none with a say."""
