"""`rhetor providers`: plugins, which bring providers from outside."""

from rhetor.cli.providers.actions import add_to

__all__ = ["add_to"]
