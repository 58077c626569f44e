"""Providers that are programs: their environment, what they may touch, and how they are talked to."""
