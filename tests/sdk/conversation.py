"""What is said in the tests of both SDKs, and how the upstream is asked what it heard."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from rhetor.core.content import Text, ToolUse
from rhetor.core.request import Chat, Message, Role
from rhetor.testing import Seen

EVERY = pytest.mark.parametrize("provider", ["oai", "ant", "ollama"])
"""The providers of the gateway: the same upstream in three languages."""
HEARD = pytest.mark.parametrize("provider", ["oai", "ant"])
"""Those whose language has a door, so that the upstream can say canonically what it heard."""
BOTH_WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])

HELLO = Message(Role.USER, (Text("hello"),))

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""The smallest PNG there is."""
PICTURE = "https://pictures.example.org/cat.png"

WEATHER = {"Paris": "sunny", "Oslo": "snow", "Rome": "rain"}
FORECAST = "Sunny in Paris, snow in Oslo, rain in Rome."
ASKED = tuple(("weather", {"city": city}) for city in WEATHER)
"""Tool calls for the upstream to say: `calls(*ASKED)`."""
CALLS = tuple(ToolUse(f"call_{n}", "weather", f'{{"city":"{city}"}}') for n, city in enumerate(WEATHER, 1))
"""The same as they arrive."""
CITY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


class City(BaseModel):
    """What structured replies hold."""

    name: str
    degrees: int


PARIS = City(name="Paris", degrees=21)
PARIS_JSON = PARIS.model_dump_json(indent=1)


def chat(seen: Seen) -> Chat:
    """What the upstream was asked, in canonical form."""
    assert seen.heard is not None, f"no door reads {seen}"
    assert isinstance(seen.heard.input, Chat)
    return seen.heard.input
