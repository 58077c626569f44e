"""Claude Code as a backend of sessions: one process a conversation, kept warm between turns."""
