// The page of services: how each local server is doing, its switches, and what the chosen one says.

import { $, Refused, askForToken, authorization, get, make, onToken } from "./page.js";

const LOOK_MS = 2000;
const SOON_MS = 250; // after something was done
const AGAIN_MS = 1000; // until a broken connection is made again
const LINES = 500;
const MOST_LINES = 5000; // on the page; the gateway keeps fewer as a rule
const NEAR_PX = 40; // from the end: whoever reads there wants to see what comes
const KINDS = { compose: "docker compose", reuse: "started elsewhere", command: "" };
const UP = ["ready", "starting", "suspect"];
const STATES = { suspect: "looked at" };
const ACROSS = [[60, "s"], [60, "min"], [24, "h"], [Infinity, "d"]];
const EXAMPLE = `services:
  llama:
    command: [llama-server, --model, /models/qwen3-4b.gguf, --host, 127.0.0.1, --port, "{port}"]
    health: /health
    base_path: /v1
    idle_stop_s: 900

providers:
  llama: {wire: openai, service: llama}`;

const NARROW = matchMedia("(max-width: 900px)"); // there, what it says stands below the list

const cards = new Map();
let chosen = null;

const path = (name, more = "") => `/v1/services/${encodeURIComponent(name)}${more}`;

// The list. Its cards stay the same elements, so that nobody loses the focus to a refresh.

async function showServices() {
  const { data } = await get("/v1/services");
  const names = new Set(data.map(({ name }) => name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.element.remove();
    cards.delete(name);
  }
  for (const service of data) {
    const card = cards.get(service.name) ?? new Card(service.name);
    card.show(service);
    if (!card.element.isConnected) $("services").append(card.element);
  }
  const up = data.filter(({ state }) => state === "ready").length;
  tell($("count"), data.length ? `${up} of ${data.length} ready` : "");
  $("none").hidden = data.length > 0;
  $("cleanup").hidden = data.length === 0;
  choose();
}

class Card {
  constructor(name) {
    this.name = name;
    this.wrong = null; // what went wrong with the last switch
    this.title = make("button", "name", name);
    this.title.type = "button";
    this.title.addEventListener("click", () => {
      location.hash = name;
      if (NARROW.matches) $("saying").scrollIntoView({ behavior: "smooth" });
    });
    this.state = make("span", "state");
    this.actions = make("span", "actions");
    this.about = make("ul", "about");
    this.needs = make("ul", "needs");
    this.failure = make("p", "wrong");
    const line = make("div", "line", this.title, this.state, this.actions);
    this.element = make("li", "service", line, this.about, this.needs, this.failure);
    this.switches = ["start", "restart", "stop"].map((does) => this.switch(does));
    this.actions.append(...this.switches);
    cards.set(name, this);
  }

  switch(does) {
    const button = make("button", does === "start" ? "start" : "plain", does[0].toUpperCase() + does.slice(1));
    button.type = "button";
    button.ariaLabel = `${button.textContent} ${this.name}`;
    button.addEventListener("click", () => this.do(does));
    button.does = does;
    return button;
  }

  async do(does) {
    this.wrong = null;
    location.hash = this.name;
    setTimeout(refresh, SOON_MS);
    try {
      const response = await fetch(path(this.name, `/${does}`), { method: "POST", headers: authorization() });
      if (response.status === 401) return askForToken();
      if (!response.ok) this.wrong = (await response.json()).error;
    } catch {
      this.wrong = "The gateway cannot be reached.";
    }
    await refresh();
  }

  show(service) {
    const { state, url, since, pid, own, restarts, needed_by, error, providers, kind, always, idle_stop_s } = service;
    this.element.classList.toggle("chosen", this.name === chosen);
    this.title.ariaPressed = String(this.name === chosen);
    tell(this.state, STATES[state] ?? state);
    this.state.className = `state ${state}`;
    const isUp = UP.includes(state);
    for (const button of this.switches) {
      const fits = { start: !isUp && state !== "stopping", restart: isUp && state !== "starting", stop: isUp };
      button.hidden = !fits[button.does];
      if (button.does === "stop") tell(button, own ? "Stop" : "Leave");
    }
    const facts = [
      url && make("code", "", url.replace(/^http:\/\//, "")),
      `for ${span(since)}`,
      pid && `pid ${pid}`,
      !own && "runs without us",
      needed_by && `${needed_by} call${needed_by === 1 ? "" : "s"} now`,
      restarts && `${restarts} restart${restarts === 1 ? "" : "s"}`,
      KINDS[kind],
      providers.length && `provider ${providers.join(", ")}`,
      always ? "always runs" : idle_stop_s && `rests after ${short(idle_stop_s)} unneeded`,
    ];
    replace(this.about, facts.filter(Boolean).map((fact) => make("li", "", fact)));
    const needs = service.requirements.map(({ name, wanted, found, met }) => {
      const need = make("li", met === false ? "missing" : met ? "" : "unknown", name === "command" ? wanted.split("/").pop() : name === "gpu" ? "GPU" : `${name} ${wanted}`);
      need.title = found;
      return need;
    });
    replace(this.needs, needs);
    const failed = state === "failed" || this.wrong;
    tell(this.failure, (failed ? (this.wrong ?? error) : restarts && error ? `Last failure: ${error}` : "") ?? "");
    this.failure.className = failed ? "wrong" : "wrong past";
  }
}

function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Only where something has changed: what is selected stays selected.
function replace(list, items) {
  const html = (nodes) => [...nodes].map((node) => node.outerHTML).join("");
  if (html(list.children) !== html(items)) list.replaceChildren(...items);
}

const span = (time) => short(Math.max(0, (Date.now() - new Date(time)) / 1000));

function short(count) {
  for (const [most, unit] of ACROSS) {
    if (count < most) return `${Math.floor(count)} ${unit}`;
    count /= most;
  }
}

// What the chosen one says: the page's address says which, so it can be kept and shared.

let reading = null; // ends the reading of the one before

function choose() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const name = cards.has(wanted) ? wanted : ([...cards.keys()][0] ?? null);
  if (name === chosen) return;
  chosen = name;
  for (const card of cards.values()) {
    card.element.classList.toggle("chosen", card.name === chosen);
    card.title.ariaPressed = String(card.name === chosen);
  }
  reading?.abort();
  $("saying").hidden = chosen === null;
  $("log").replaceChildren();
  $("latest").hidden = true;
  if (chosen === null) return;
  $("logs-title").replaceChildren("What ", make("code", "", chosen), " says");
  reading = new AbortController();
  void follow(chosen, reading.signal);
}

async function follow(name, signal) {
  let last = 0;
  while (!signal.aborted) {
    try {
      for await (const line of lines(path(name, `/logs?follow=1&${last ? `after=${last}` : `lines=${LINES}`}`), signal)) {
        if (signal.aborted) return;
        last = line.seq;
        say(line);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) return forget(); // it is read anew with another token
    }
    connection("lost", "reconnecting");
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function forget() {
  askForToken();
  chosen = null;
}

// The JSON of each server-sent event.
async function* lines(address, signal) {
  const response = await fetch(address, { headers: authorization(), signal });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  connection("live", "live");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const whole = (rest + read.value).split("\n");
    rest = whole.pop();
    for (const line of whole) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}

function connection(state, text) {
  $("connection").className = `quiet ${state}`;
  tell($("connection"), text);
}

function say({ at, text, ours }) {
  const log = $("log");
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
  const time = make("time", "", new Date(at).toLocaleTimeString("en-GB"));
  time.dateTime = at;
  const failed = ours && text.startsWith("failed") ? " failed" : "";
  log.append(make("p", ours ? `ours${failed}` : "", time, make("span", "", ours ? `— ${text}` : text)));
  if (log.children.length > MOST_LINES) log.firstChild.remove();
  if (follows) log.scrollTop = log.scrollHeight;
  else $("latest").hidden = false;
}

// Everything together.

async function refresh() {
  try {
    await showServices();
    tell($("health"), "");
  } catch (error) {
    if (error instanceof Refused) askForToken();
    else tell($("health"), "The gateway cannot be reached");
  }
}

async function look() {
  if (!document.hidden && $("token-form").hidden) await refresh();
  setTimeout(look, LOOK_MS);
}

async function cleanUp() {
  $("cleanup").disabled = true;
  try {
    const response = await fetch("/v1/services/cleanup", { method: "POST", headers: authorization() });
    if (response.status === 401) return askForToken();
    const { processes, composed, errors, error } = await response.json();
    const done = [processes && `${processes} left processes ended`, composed?.length && `containers of ${composed.join(", ")} removed`];
    tell($("cleaned"), error ?? (done.filter(Boolean).concat(errors).join(" · ") || "There was nothing to clean up."));
  } catch {
    tell($("cleaned"), "The gateway cannot be reached.");
  } finally {
    $("cleanup").disabled = false;
  }
  await refresh();
}

$("example").textContent = EXAMPLE;
$("cleanup").addEventListener("click", cleanUp);
$("latest").addEventListener("click", () => ($("log").scrollTop = $("log").scrollHeight));
$("log").addEventListener("scroll", () => {
  const log = $("log");
  if (log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX) $("latest").hidden = true;
});
addEventListener("hashchange", choose);
onToken(refresh);
await refresh();
setTimeout(look, LOOK_MS);
