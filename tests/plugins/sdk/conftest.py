"""The same guests as their transport's tests have."""

from tests.plugins.guest.conftest import environments, guests, machine

__all__ = ["environments", "guests", "machine"]
