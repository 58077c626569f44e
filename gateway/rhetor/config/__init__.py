"""`rhetor.yaml` as frozen models: every problem at once, each with path, value and remedy.

No file is a valid configuration. Sections are named like rooms, units are in
the names, secrets only as references (`env:NAME`, `file:PATH`).
"""

from rhetor.config.loading import FILE_NAMES, find, is_loopback, load
from rhetor.config.problems import ConfigError, Problem
from rhetor.config.secrets import resolve_secret
from rhetor.config.sections import (
    DEFAULT_PORT,
    Config,
    DiscoveryConfig,
    LogsConfig,
    ProviderConfig,
    RouteConfig,
    ServerConfig,
    TimeoutsConfig,
    json_schema,
)
from rhetor.config.variables import environment, without_effect

__all__ = [
    "DEFAULT_PORT",
    "FILE_NAMES",
    "Config",
    "ConfigError",
    "DiscoveryConfig",
    "LogsConfig",
    "Problem",
    "ProviderConfig",
    "RouteConfig",
    "ServerConfig",
    "TimeoutsConfig",
    "environment",
    "find",
    "is_loopback",
    "json_schema",
    "load",
    "resolve_secret",
    "without_effect",
]
