"""What a service finds in its environment: what was written for it, and what every program needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rhetor.core.errors import Code, RhetorError
from rhetor.services.launch import PORT
from rhetor.services.spec import ServiceSpec, variable

INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR"),
        *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
        *("CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    }
)
"""Of this gateway's variables: where things are, and in which language. Nobody keeps secrets in them."""
INHERITED_PREFIX = "LC_"
ENGINE = frozenset(
    {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"}
)
"""What the engine's own command needs besides, to find the engine."""
REFERENCES = ("env:", "file:")

Resolve = Callable[[str], str]
"""The secret behind a reference; a LookupError says what is missing."""


def inherited(environ: Mapping[str, str], also: frozenset[str] = frozenset()) -> dict[str, str]:
    names = INHERITED | also
    return {
        name: text for name, text in environ.items() if name in names or name.startswith(INHERITED_PREFIX)
    }


def secrets_of(name: str, spec: ServiceSpec, resolve: Resolve) -> dict[str, str]:
    """The variables that are references, looked up.

    Raises:
        RhetorError: unavailable, one of them leads nowhere.
    """
    found = {}
    for key, text in spec.env.items():
        if not text.startswith(REFERENCES):
            continue
        try:
            found[key] = resolve(text)
        except LookupError as error:
            message = f"cannot start {name}: {error}; it is wanted as {key}"
            raise RhetorError(message, Code.UNAVAILABLE) from None
    return found


def variables(name: str, spec: ServiceSpec, port: str = PORT) -> dict[str, str]:
    """What was written for it, and its port by its own name."""
    return {variable(name): port, **spec.env}
