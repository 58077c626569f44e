// The page at `/`: what is on, how it is doing, a prompt that streams, and how to point an SDK here.

import { $, Refused, askForToken, authorization, dollars, get, make, onToken, token } from "./page.js";
import { SNIPPETS } from "./snippets.js";

const MOST_ROWS = 500;
const BOOKED_MS = 200;
const LOOK_MS = 2000;

const row = (...cells) => make("tr", "", ...cells);
const cell = (text, className = "") => make("td", className, text);

// What there is.

async function showHealth() {
  const { status, version } = await get("/health");
  $("health").className = status;
  $("health").textContent = `${status} · ${version}`;
}

async function showProviders() {
  const { providers, status } = await get("/api/v1/providers");
  const on = [], off = [];
  for (const [id, { name, available, models }] of Object.entries(providers)) {
    if (id === "rhetor") continue; // our routes: they stand among the models
    const count = `${models.length} model${models.length === 1 ? "" : "s"}`;
    const state = available ? count : (status[id]?.error ?? "off").replace(`no key for '${id}': `, "");
    const title = make("span", "", name, name === id ? "" : make("code", "quiet", id));
    (available ? on : off).push(make("li", available ? "on" : "off", title, make("span", "quiet", state)));
  }
  $("providers").replaceChildren(...on);
  $("off").replaceChildren(...off);
  $("off-box").hidden = off.length === 0;
  $("off-title").textContent = `${off.length} more can be switched on`;
}

let models = [];

async function showModels() {
  models = (await get("/v1/models")).data;
  const option = ({ id }) => Object.assign(document.createElement("option"), { value: id });
  $("model-names").replaceChildren(...models.map(option));
  filterModels();
}

function filterModels() {
  const wanted = $("filter").value.trim().toLowerCase();
  const shown = models.filter(({ id }) => id.toLowerCase().includes(wanted));
  $("models-count").textContent = wanted ? `${shown.length} of ${models.length}` : models.length;
  const rows = shown.slice(0, MOST_ROWS).map((model) => {
    const choose = make("button", "name", model.id);
    choose.title = "Ask this one";
    choose.addEventListener("click", () => chooseModel(model.id));
    const name = make("td", "", choose, ...(model.targets ? [make("span", "tag", "route")] : []));
    const can = model.targets?.join(" → ") ?? model.features?.join(", ") ?? "";
    return row(
      name,
      cell(model.max_input_tokens?.toLocaleString("en") ?? "", "number"),
      cell(price(model.pricing), "number"),
      cell(spaced(can), "quiet")
    );
  });
  $("models").replaceChildren(...(rows.length ? rows : [emptyRow(4, "No model is called so.")]));
}

function emptyRow(columns, text, className = "quiet") {
  const only = cell(text, className);
  only.colSpan = columns;
  return row(only);
}

function chooseModel(id) {
  $("model").value = id;
  showSnippet();
  $("asking").scrollIntoView({ block: "nearest" });
  $("prompt").focus();
}

const spaced = (word) => word.replaceAll("_", " ");
const told = ({ target, outcome }) => `${target}: ${spaced(outcome)}`;

function price(pricing) {
  if (!pricing) return "";
  const { input_micros_per_million: input, output_micros_per_million: output } = pricing;
  return `${dollars(input, 4)} / ${dollars(output, 4)}`;
}

async function showTrips() {
  const { trips } = await get("/api/v1/trips?limit=50");
  const rows = trips.map((trip) => {
    const failed = trip.attempts.filter(({ outcome }) => outcome !== "ok").map(told);
    const outcome = cell(spaced(trip.outcome), trip.outcome === "ok" ? "" : "bad");
    const answered = cell(trip.served_by ?? "—");
    if (failed.length) answered.append(make("small", "quiet", failed.join(", ")));
    return row(
      cell(new Date(trip.at).toLocaleTimeString(), "quiet"),
      cell(trip.model || "auto"),
      answered,
      outcome,
      cell(`${trip.input_tokens} + ${trip.output_tokens}`, "number"),
      cell(trip.served_by && trip.cost_micros !== null ? `$${dollars(trip.cost_micros, 6)}` : "", "number"),
      cell(`${trip.total_ms.toLocaleString("en")} ms`, "number")
    );
  });
  $("trips").replaceChildren(...(rows.length ? rows : [emptyRow(7, "None yet: ask something.")]));
}

// How targets are doing. Whoever needs attention comes first.

async function showTargets() {
  let rows;
  try {
    const { targets } = await get("/api/v1/health/targets");
    const stated = targets.map((target) => ({ target, ...stateOf(target) }));
    rows = stated.sort((a, b) => Boolean(b.className) - Boolean(a.className)).slice(0, MOST_ROWS).map(targetRow);
  } catch (error) {
    if (error instanceof Refused) throw error;
    rows = [emptyRow(4, `Not known at the moment: ${error.message}`, "bad")];
  }
  $("targets").replaceChildren(...(rows.length ? rows : [emptyRow(4, "Nobody was asked yet.")]));
}

function stateOf({ breaker, probe_in_s, cooling_s, key_bad, failures }) {
  if (key_bad) return { className: "bad", state: "key refused" };
  if (breaker === "open") {
    const more = probe_in_s > 0 ? `probe in ${Math.ceil(probe_in_s)} s` : "being probed";
    return { className: "bad", state: "open", more };
  }
  if (breaker === "half_open") return { className: "warn", state: "half open", more: "probe is due" };
  if (cooling_s > 0) return { className: "warn", state: "at its limit", more: `for ${Math.ceil(cooling_s)} s` };
  if (failures) return { className: "warn", state: `failed ${failures}×` };
  return { className: "", state: "well" };
}

function targetRow({ target: { target, key, in_flight, late_ms }, className, state, more }) {
  const name = make("td", "", target, key ? make("code", "quiet", `key ${key + 1}`) : "");
  const said = cell(state, className);
  if (more) said.append(make("small", "quiet", more));
  const late = late_ms === null ? "" : `${late_ms.toLocaleString("en")} ms`;
  return row(name, said, cell(in_flight, "number"), cell(late, "number"));
}

async function watchTargets() {
  if (!document.hidden && $("token-form").hidden) await showTargets().catch(askForToken);
  setTimeout(watchTargets, LOOK_MS);
}

// Asking.

let running = null;

async function ask(event) {
  event.preventDefault();
  running?.abort();
  const mine = (running = new AbortController());
  const began = performance.now();
  begin();
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization() },
      body: JSON.stringify({
        model: $("model").value.trim(),
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: "user", content: $("prompt").value }],
      }),
      signal: mine.signal,
    });
    if (response.status === 401) askForToken();
    if (!response.ok) throw new Error((await response.json()).error.message);
    const usage = await readReply(response.body, mine);
    $("answered").textContent = summary(response.headers, usage, performance.now() - began);
  } catch (error) {
    if (running === mine) fail(error);
  } finally {
    if (running === mine) end();
    // Booked a moment after its last word; whatever is wrong stands in the answer already.
    setTimeout(() => Promise.all([showTrips(), showTargets()]).catch(() => {}), BOOKED_MS);
  }
}

function begin() {
  $("answer").className = "streaming";
  $("answer").textContent = $("answered").textContent = $("thinking").textContent = "";
  $("thoughts").hidden = true;
  $("stop").hidden = false;
}

function end() {
  running = null;
  $("answer").classList.remove("streaming");
  $("stop").hidden = true;
}

function fail(error) {
  if (error.name === "AbortError") {
    $("answered").textContent = "Stopped: the provider has been told, too.";
    return;
  }
  $("answer").append(make("span", "bad", error.message));
}

// Show a reply as it comes; returns its usage.
async function readReply(body, mine) {
  let usage = null;
  for await (const { error, choices, usage: reported } of frames(body)) {
    if (running !== mine) return null;
    if (error) throw new Error(error.message);
    const delta = choices?.[0]?.delta ?? {};
    if (delta.reasoning_content) {
      $("thoughts").hidden = false;
      $("thinking").append(delta.reasoning_content);
    }
    $("answer").append(delta.content ?? "", delta.refusal ?? "");
    usage = reported ?? usage;
  }
  return usage;
}

// The JSON of each server-sent event. A stream that ends without `[DONE]` was broken off.
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + read.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice(6).trim();
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
  throw new Error("The connection was lost before the answer was complete.");
}

function summary(headers, usage, ms) {
  const parts = [headers.get("x-rhetor-served-by"), `${(ms / 1000).toFixed(1)} s`];
  if (usage) parts.push(`${usage.prompt_tokens} + ${usage.completion_tokens} tokens`);
  if (headers.get("x-rhetor-fallback")) {
    const attempts = headers.get("x-rhetor-attempts").split(", ").map((attempt) => attempt.split(";"));
    const failed = attempts.slice(0, -1).map(([target, outcome]) => told({ target, outcome }));
    parts.push(`after ${failed.join(", ")}`);
  }
  return parts.join(" · ");
}

// Snippets.

let tabs = [];

function showSnippet(chosen = tabs.find((tab) => tab.ariaSelected === "true")) {
  for (const tab of tabs) {
    tab.ariaSelected = String(tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
  }
  const model = $("model").value.trim() || "auto";
  $("snippet").textContent = SNIPPETS[chosen.textContent](location.origin, model, token() && "YOUR_TOKEN");
}

function makeTabs() {
  tabs = Object.keys(SNIPPETS).map((name) => {
    const tab = make("button", "plain", name);
    tab.type = "button";
    tab.role = "tab";
    tab.addEventListener("click", () => showSnippet(tab));
    return tab;
  });
  $("tabs").append(...tabs);
  $("tabs").addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = tabs.at((tabs.indexOf(document.activeElement) + step) % tabs.length);
    next.focus();
    showSnippet(next);
  });
  showSnippet(tabs[0]);
}

async function copy() {
  await navigator.clipboard.writeText($("snippet").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// Everything together.

async function show() {
  const parts = await Promise.allSettled([showHealth(), showProviders(), showModels(), showTargets(), showTrips()]);
  const failures = parts.map(({ reason }) => reason).filter(Boolean);
  if (failures.some((failure) => failure instanceof Refused)) return askForToken();
  if (failures.length === 0) return;
  $("health").className = "unhealthy";
  $("health").textContent = failures[0].message;
}

$("ask").addEventListener("submit", ask);
$("stop").addEventListener("click", () => running?.abort());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
$("model").addEventListener("input", () => showSnippet());
$("filter").addEventListener("input", filterModels);
$("refresh").addEventListener("click", show);
$("copy").addEventListener("click", copy);
$("copy").hidden = !navigator.clipboard; // pages have it on this machine and over https only
onToken(() => {
  showSnippet();
  show();
});
makeTabs();
show();
setTimeout(watchTargets, LOOK_MS);
