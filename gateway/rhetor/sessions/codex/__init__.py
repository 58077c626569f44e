"""Codex as a backend of sessions: one app server a conversation, kept warm between turns."""
