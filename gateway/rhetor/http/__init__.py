"""Doors: HTTP, SSE and WebSocket surfaces, each a thin translation into trips."""
