"""What a component is told from outside: variables of the environment, and settings in files."""

from tekton_llm_client.config.environment import (
    get_env,
    get_env_bool,
    get_env_dict,
    get_env_float,
    get_env_int,
    get_env_list,
    has_env,
    set_env,
)
from tekton_llm_client.config.settings import (
    ClientSettings,
    LLMSettings,
    SettingsError,
    get_default_settings,
    load_settings,
    save_settings,
)

__all__ = [
    "ClientSettings",
    "LLMSettings",
    "SettingsError",
    "get_default_settings",
    "get_env",
    "get_env_bool",
    "get_env_dict",
    "get_env_float",
    "get_env_int",
    "get_env_list",
    "has_env",
    "load_settings",
    "save_settings",
    "set_env",
]
