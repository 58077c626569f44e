"""What plugins say in the words of the configuration, checked like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rhetor.config.problems import ConfigError, problem_of
from rhetor.config.services import ServiceConfig


def service_of(name: str, said: Mapping[str, Any]) -> ServiceConfig:
    """A service as a plugin describes it.

    Raises:
        ConfigError: with every problem found.
    """
    try:
        return ServiceConfig.model_validate(said)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigError(
            [problem_of({**detail, "loc": ("services", name, *detail["loc"])}) for detail in details]
        ) from None
