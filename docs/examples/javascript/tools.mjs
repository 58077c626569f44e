// A model uses JavaScript functions until it knows the answer.

import { TektonLLMClient } from "tekton-llm-client";

const ROUNDS = 5; // a model that never comes to an end is stopped
const celsius = { Paris: 21, Oslo: 4 };
const functions = { temperature: ({ city }) => celsius[city] };

const tools = [
  {
    type: "function",
    function: {
      name: "temperature",
      description: "How warm it is in a city, in degrees Celsius.",
      parameters: { type: "object", properties: { city: { enum: Object.keys(celsius) } }, required: ["city"] },
    },
  },
];

/** What the tool says; what is wrong with the call is told to the model, too. */
function use({ function: { name, arguments: said } }) {
  try {
    return String(functions[name](JSON.parse(said)));
  } catch (error) {
    return `this did not work: ${error.message}`;
  }
}

const client = new TektonLLMClient({ componentId: "examples" });
const messages = [{ role: "user", content: "Ask temperature: how warm is it in Paris?" }];
for (let round = 0; round < ROUNDS; round++) {
  const { content, toolCalls } = await client.generateChatResponse(messages, { tools });
  if (!toolCalls.length) {
    console.log(content);
    break;
  }
  messages.push({ role: "assistant", content, tool_calls: toolCalls });
  for (const call of toolCalls) {
    console.log(`${call.function.name}(${call.function.arguments})`);
    messages.push({ role: "tool", tool_call_id: call.id, content: use(call) });
  }
}
client.close();

// temperature({"city":"Paris"})
// temperature answered: 21
