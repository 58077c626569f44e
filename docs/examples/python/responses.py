"""OpenAI's own SDK and its Responses, with whatever model stands behind the gateway.

The gateway keeps what was said, so the second question only names the first answer.
"""

import os

from openai import OpenAI

url = os.environ.get("RHETOR_URL", "http://localhost:8003")
with OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("RHETOR_AUTH_TOKEN", "unused")) as client:
    with client.responses.stream(model="fast", input="Name three rivers.") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
        first = stream.get_final_response()
    print()

    second = client.responses.create(
        model="fast", input="Which is the longest?", previous_response_id=first.id, store=False
    )
    print(second.output_text)
    print(f"{first.usage.input_tokens} tokens were read first, then {second.usage.input_tokens}")

    client.responses.delete(first.id)

# You said: Name three rivers.
# You said: Which is the longest?
