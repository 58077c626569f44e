"""The classic: a model is an animal, and it says what was said last."""

from __future__ import annotations

from collections.abc import AsyncIterator

import cowsay
from rhetor_provider import Event, Failure, Finished, Model, Provider, Request, Text, Usage

LONGEST = 20_000  # characters; balloons beyond are no fun


class Cowsay(Provider):
    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """Line by line, as a terminal would show it."""
        if request.model not in cowsay.char_names:
            raise Failure(
                f"no animal {request.model!r}; there are {', '.join(cowsay.char_names)}", "model_not_found"
            )
        if not request.text.strip():
            raise Failure("there is nothing to be said: the message is empty", "invalid_request")
        if len(request.text) > LONGEST:
            raise Failure(f"a balloon holds {LONGEST} characters", "request_too_large")
        said = cowsay.get_output_string(request.model, request.text)
        words = len(request.text.split())
        most = request.option("max_tokens")
        for n, line in enumerate(said.splitlines(keepends=True), 1):
            yield Text(line)
            if most is not None and n >= most:  # its tokens are its lines
                yield Usage(input_tokens=words, output_tokens=n)
                yield Finished("length")
                return
        yield Usage(input_tokens=words, output_tokens=len(said.splitlines()))

    def test_connection(self) -> str:
        return f"{len(cowsay.char_names)} animals are awake"

    def models(self) -> list[Model]:
        return [Model(name) for name in cowsay.char_names]
