"""`rhetor.yaml` as frozen models: every problem at once, each with path, value and remedy.

No file is a valid configuration. Sections are named like rooms, units are in
the names, secrets only as references (`env:NAME`, `file:PATH`).
"""

from rhetor.config.loading import FILE_NAMES, earlier_names, find, is_loopback, load
from rhetor.config.problems import ConfigError, Problem
from rhetor.config.secrets import resolve_secret
from rhetor.config.sections import (
    DEFAULT_PORT,
    AgentConfig,
    ChatConfig,
    Config,
    DiscoveryConfig,
    LogsConfig,
    ProviderConfig,
    RouteConfig,
    ServerConfig,
    SessionsConfig,
    StoreConfig,
    TimeoutsConfig,
    json_schema,
)
from rhetor.config.variables import environment, without_effect

__all__ = [
    "DEFAULT_PORT",
    "FILE_NAMES",
    "AgentConfig",
    "ChatConfig",
    "Config",
    "ConfigError",
    "DiscoveryConfig",
    "LogsConfig",
    "Problem",
    "ProviderConfig",
    "RouteConfig",
    "ServerConfig",
    "SessionsConfig",
    "StoreConfig",
    "TimeoutsConfig",
    "earlier_names",
    "environment",
    "find",
    "is_loopback",
    "json_schema",
    "load",
    "resolve_secret",
    "without_effect",
]
