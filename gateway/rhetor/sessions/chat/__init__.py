"""Chats: a model that remembers nothing, and the session's own log as its memory."""

from rhetor.sessions.chat.asking import Ask, Telling
from rhetor.sessions.chat.backend import Chat

__all__ = ["Ask", "Chat", "Telling"]
