// An answer as an async iterator, stopped by an AbortSignal: at the gateway and its provider, too.

import { TektonLLMClient, TektonLLMError } from "tekton-llm-client";

const client = new TektonLLMClient({ componentId: "examples" }); // at RHETOR_URL, or http://localhost:8003

async function tell(prompt, signal) {
  let last;
  for await (const chunk of client.stream(prompt, { signal })) {
    process.stdout.write(chunk.chunk);
    last = chunk;
  }
  if (last.error) throw new TektonLLMError(last.error, last); // it broke off
  return last;
}

const { provider, model, usage } = await tell("Why is the sky blue?");
console.log(`\n[${provider}/${model}, ${usage.totalTokens} tokens]`);

const stop = new AbortController();
process.once("SIGINT", () => stop.abort()); // Ctrl-C
setTimeout(() => stop.abort(new Error("enough")), 50); // or soon without it
try {
  for (;;) await tell("And at sunset? ", stop.signal);
} catch (reason) {
  console.log(`\nstopped: ${reason.message}`);
}
client.close();

// You said: Why is the sky blue?
// [offline/echo,
// stopped: enough
