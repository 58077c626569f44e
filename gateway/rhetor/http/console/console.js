// The page at `/`: what is on, a prompt that streams, and how to point an SDK here.

const $ = (id) => document.getElementById(id);
const TOKEN = "rhetor-token";
let running = null;

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { authorization: `Bearer ${token}` } : {};
}

async function get(path) {
  const response = await fetch(path, { headers: headers() });
  if (response.status === 401) {
    $("token-form").hidden = false;
    throw new Error("This gateway asks for a token.");
  }
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

function row(...cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const { text, kind } = typeof cell === "object" ? cell : { text: cell, kind: "" };
    const td = document.createElement("td");
    td.textContent = text;
    td.className = kind;
    line.append(td);
  }
  return line;
}

async function showHealth() {
  const health = await get("/health");
  $("health").textContent = `${health.status} · version ${health.version}`;
}

async function showProviders() {
  const { providers, status } = await get("/api/v1/providers");
  const on = [], off = [];
  for (const [id, provider] of Object.entries(providers)) {
    const state = provider.available ? "on" : (status[id]?.error ?? "off");
    (provider.available ? on : off).push(
      row(provider.available ? "●" : "○", `${provider.name} (${id})`, { text: String(provider.models.length), kind: "number" }, state)
    );
  }
  $("providers").replaceChildren(...on);
  $("off").replaceChildren(...off);
  $("off-box").hidden = off.length === 0;
  $("off-title").textContent = `${off.length} more can be switched on`;
}

let models = [];

async function showModels() {
  models = (await get("/v1/models")).data;
  $("model-names").replaceChildren(
    ...models.map((model) => Object.assign(document.createElement("option"), { value: model.id }))
  );
  filterModels();
}

function filterModels() {
  const wanted = $("filter").value.toLowerCase();
  const shown = models.filter((model) => model.id.toLowerCase().includes(wanted));
  $("models").replaceChildren(
    ...shown.slice(0, 500).map((model) =>
      row(
        model.id,
        { text: model.max_input_tokens?.toLocaleString("en") ?? "", kind: "number" },
        { text: price(model.pricing), kind: "number" },
        { text: (model.targets ?? model.features ?? []).join(", "), kind: "quiet" }
      )
    )
  );
}

function price(pricing) {
  if (!pricing) return "";
  const dollars = (micros) => (micros / 1e6).toLocaleString("en", { maximumFractionDigits: 4 });
  return `${dollars(pricing.input_micros_per_million)} / ${dollars(pricing.output_micros_per_million)}`;
}

async function showTrips() {
  const { trips } = await get("/api/v1/trips?limit=50");
  $("trips").replaceChildren(
    ...trips.map((trip) =>
      row(
        new Date(trip.at).toLocaleTimeString(),
        trip.door,
        trip.model || "(default)",
        trip.served_by ?? "",
        { text: trip.outcome, kind: trip.outcome === "ok" ? "" : "bad" },
        { text: `${trip.input_tokens} + ${trip.output_tokens}`, kind: "number" },
        { text: String(trip.total_ms), kind: "number" }
      )
    )
  );
}

async function ask(event) {
  event.preventDefault();
  running?.abort();
  const stopper = (running = new AbortController());
  const answer = $("answer");
  answer.className = "";
  answer.textContent = "";
  $("answered").textContent = "";
  $("stop").hidden = false;
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers() },
      body: JSON.stringify({
        model: $("model").value,
        stream: true,
        messages: [{ role: "user", content: $("prompt").value }],
      }),
      signal: stopper.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const data of frames(response.body)) {
      if (data.error) throw new Error(data.error.message);
      answer.textContent += data.choices?.[0]?.delta?.content ?? "";
    }
    $("answered").textContent = `answered by ${response.headers.get("x-rhetor-served-by")}`;
  } catch (error) {
    if (error.name === "AbortError") {
      $("answered").textContent = "stopped";
    } else {
      answer.className = "failed";
      answer.textContent += `${answer.textContent ? "\n" : ""}${error.message}`;
    }
  } finally {
    if (running === stopper) $("stop").hidden = true;
    showTrips().catch(() => {});
  }
}

// The JSON of each server-sent event, until `[DONE]`.
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + read.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

const SNIPPETS = {
  curl: (origin) => `curl ${origin}/v1/chat/completions \\
  -H 'content-type: application/json' \\
  -d '{"model": "auto", "stream": true,
       "messages": [{"role": "user", "content": "Hello"}]}'`,
  "OpenAI SDK": (origin) => `from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key="unused")
reply = client.chat.completions.create(
    model="auto",
    messages=[{"role": "user", "content": "Hello"}],
)
print(reply.choices[0].message.content)`,
  "Anthropic SDK": (origin) => `from anthropic import Anthropic

client = Anthropic(base_url="${origin}", api_key="unused")
reply = client.messages.create(
    model="auto",
    max_tokens=200,
    messages=[{"role": "user", "content": "Hello"}],
)
print(reply.content[0].text)`,
  Tekton: (origin) => `from tekton_llm_client import TektonLLMClient

async with TektonLLMClient("my-component", rhetor_url="${origin}") as client:
    reply = await client.generate_text("Hello")
    print(reply.content)`,
};

function showSnippets() {
  const tabs = Object.keys(SNIPPETS).map((name) => {
    const tab = document.createElement("button");
    tab.textContent = name;
    tab.setAttribute("role", "tab");
    tab.onclick = () => {
      for (const other of tabs) other.setAttribute("aria-selected", String(other === tab));
      $("snippet").textContent = SNIPPETS[name](location.origin);
    };
    return tab;
  });
  $("tabs").append(...tabs);
  tabs[0].click();
}

function show() {
  for (const part of [showHealth, showProviders, showModels, showTrips]) {
    part().catch((error) => { $("health").textContent = error.message; });
  }
}

$("ask").addEventListener("submit", ask);
$("stop").addEventListener("click", () => running?.abort());
$("filter").addEventListener("input", filterModels);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value);
  $("token-form").hidden = true;
  show();
});
showSnippets();
show();
