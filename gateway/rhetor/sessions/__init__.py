"""Conversations with memory: coding agents and chats as resources that outlive connections and crashes."""
