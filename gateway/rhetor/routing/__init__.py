"""Decisions, synchronous and pure: who may answer, and in which order they are asked."""
