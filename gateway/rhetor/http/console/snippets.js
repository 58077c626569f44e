// How to point an SDK at this gateway: by name, as functions of its address, a model and a token.

const QUESTION = "Hello";

export const SNIPPETS = {
  curl: (origin, model, token) => `curl ${origin}/v1/chat/completions \\
  -H 'content-type: application/json' \\${token ? `\n  -H 'authorization: Bearer ${token}' \\` : ""}
  -d '{"model": "${model}", "stream": true,
       "messages": [{"role": "user",
                     "content": "${QUESTION}"}]}'`,

  OpenAI: (origin, model, token) => `from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    api_key="${token || "unused"}",
)
reply = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "${QUESTION}"}],
)
print(reply.choices[0].message.content)`,

  Anthropic: (origin, model, token) => `from anthropic import Anthropic

client = Anthropic(
    base_url="${origin}",
    api_key="${token || "unused"}",
)
reply = client.messages.create(
    model="${model}",
    max_tokens=500,
    messages=[{"role": "user", "content": "${QUESTION}"}],
)
print(reply.content[0].text)`,

  JavaScript: (origin, model, token) => `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "${origin}/v1",
  apiKey: "${token || "unused"}",
});
const reply = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "${QUESTION}" }],
});
console.log(reply.choices[0].message.content);`,

  Tekton: (origin, model, token) => `import asyncio
from tekton_llm_client import TektonLLMClient

async def main():
    async with TektonLLMClient(
        "my-component",
        "${origin}",
        provider_id="rhetor",
        model_id="${model}",${token ? `\n        auth_token="${token}",` : ""}
    ) as client:
        await client.initialize()
        reply = await client.generate_text("${QUESTION}")
        print(reply.content)

asyncio.run(main())`,
};
