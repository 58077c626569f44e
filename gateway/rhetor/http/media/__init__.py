"""Doors for what is neither a conversation nor its embedding: pictures, speech, transcripts, films."""
