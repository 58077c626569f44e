"""What authors of providers need: a plugin to begin with, and a report on one."""
