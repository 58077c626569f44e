// The page of sessions: a list of them, a form for another one, and the one that is chosen.

import { SessionsClient } from "/static/js/tekton-llm-sessions.mjs";

import { $, askForToken, get, make, onToken, token } from "./page.js";
import { STATES, SessionView, titleOf } from "./session.js";
import { cost, number } from "./transcript.js";

const LOOK_MS = 2000;
const PAGE = 50;
const TITLE = 60; // characters of the first message
const ACROSS = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [Infinity, "week"]];

const client = new SessionsClient({ rhetorUrl: "", authToken: token() || null });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
let view = null;
let backends = [];
let models = [];
let shown = PAGE;

// The list. Its entries stay the same elements, so that nobody loses the focus to a refresh.

const entries = new Map();

async function showList() {
  const state = $("wanted").value || undefined;
  const { sessions, hasMore, total } = await client.listSessions({ state, limit: shown });
  const ids = new Set(sessions.map(({ id }) => id));
  for (const [id, entry] of entries) {
    if (ids.has(id)) continue;
    entry.remove();
    entries.delete(id);
  }
  const wanted = sessions.map(entryOf);
  // What somebody points at stays in its place.
  const same = entries.size === $("list").children.length;
  const moved = wanted.some((entry, at) => $("list").children[at] !== entry);
  if (moved && !(same && $("list").matches(":hover, :focus-within"))) {
    const focused = document.activeElement;
    $("list").replaceChildren(...wanted);
    if ($("list").contains(focused)) focused.focus();
  }
  $("more").hidden = !hasMore;
  $("list-note").textContent = total ? "" : state ? "None of these." : "None yet.";
}

function entryOf(session) {
  const { id, backend, model, state, usage, updatedAt } = session;
  let entry = entries.get(id);
  if (!entry) {
    const below = make("span", "below", make("span", "state"), make("span", "about"));
    const link = make("a", "", make("span", "title"), make("span", "when"), below);
    link.href = `#${id}`;
    entry = make("li", "", link);
    entries.set(id, entry);
  }
  const link = entry.firstChild;
  const [title, when, below] = link.children;
  const spent = usage.calls ? cost(usage.costMicros) : null;
  tell(title, titleOf(session));
  tell(when, since(updatedAt));
  tell(below.firstChild, STATES[state] ?? state);
  below.firstChild.className = `state ${state}`;
  tell(below.lastChild, [backend, spent, model].filter(Boolean).join(" · "));
  link.ariaCurrent = location.hash === link.hash ? "page" : null;
  return entry;
}

function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function since(time) {
  let count = Math.max(0, (Date.now() - new Date(time)) / 1000);
  for (const [most, unit] of ACROSS) {
    if (count < most) return unit === "second" ? "now" : ago.format(-Math.floor(count), unit);
    count /= most;
  }
}

async function refresh() {
  try {
    await showList();
    $("health").textContent = "";
  } catch (error) {
    if (error.status === 401) askForToken();
    else $("health").textContent = error.code === "unreachable" ? "The gateway cannot be reached" : error.message;
  }
}

async function look() {
  if (!document.hidden && $("token-form").hidden) await refresh();
  setTimeout(look, LOOK_MS);
}

// A new one.

async function showBackends() {
  backends = await client.backends();
  const options = backends.map(({ name, healthy }) => Object.assign(document.createElement("option"), { value: name, textContent: healthy ? name : `${name} (not usable)` }));
  $("backend").replaceChildren(...options);
  $("backend").value = (backends.find(({ healthy }) => healthy) ?? backends[0])?.name ?? "";
  showBackend();
}

function showBackend() {
  const backend = backends.find(({ name }) => name === $("backend").value);
  if (!backend) return;
  const { abilities, defaultModel, error, version, live, maxSessions } = backend;
  $("for-agents").hidden = !abilities.includes("file_operations") && !abilities.includes("approvals");
  $("model").placeholder = defaultModel || "whatever answers";
  const names = backend.models.length ? backend.models : models;
  $("model-names").replaceChildren(...names.map((value) => Object.assign(document.createElement("option"), { value })));
  $("backend-note").textContent = error ?? [version && `version ${version}`, `${number(live)} of ${number(maxSessions)} live`].filter(Boolean).join(" · ");
  $("backend-note").className = error ? "bad" : "quiet";
}

async function begin(event) {
  event.preventDefault();
  const text = (id) => $(id).value.trim() || undefined;
  const agent = !$("for-agents").hidden;
  const message = text("first");
  $("begin-wrong").textContent = "";
  $("begin").disabled = true;
  try {
    const session = await client.createSession({
      backend: text("backend"),
      model: text("model"),
      message,
      title: text("new-title") ?? shortened(message),
      system: text("system"),
      ...(agent && { directory: text("directory"), permissions: text("permissions") }),
    });
    for (const id of ["first", "new-title", "system"]) $(id).value = "";
    location.hash = session.id;
  } catch (error) {
    if (error.status === 401) askForToken();
    $("begin-wrong").textContent = error.message;
  } finally {
    $("begin").disabled = false;
  }
}

function shortened(message) {
  const line = message?.split("\n")[0];
  return line && line.length > TITLE ? `${line.slice(0, TITLE - 1)}…` : line;
}

// Which of them is chosen: the page's address says it, so it can be kept and shared.

function route() {
  const id = location.hash.slice(1);
  view?.close();
  view = null;
  const chosen = id !== "" && id !== "new";
  const refused = !$("token-form").hidden;
  document.body.className = id === "" && !refused ? "" : "chosen"; // on a phone, the list or what was chosen
  $("beginning").hidden = chosen || refused;
  $("session").hidden = !chosen || refused;
  if (refused) return;
  $("new").ariaCurrent = chosen ? null : "page";
  for (const { firstChild: link } of entries.values()) link.ariaCurrent = location.hash === link.hash ? "page" : null;
  if (!chosen) {
    document.title = "Sessions · Rhetor";
    if (id === "new") $("first").focus();
    return;
  }
  view = new SessionView(client, id, onChange);
  void view.open();
}

// The list tells what is chosen, too.
let changing;
function onChange(error) {
  if (error?.status === 401) return askForToken();
  clearTimeout(changing);
  changing = setTimeout(refresh, 100);
}

async function show() {
  $("begin-wrong").textContent = "";
  client.authToken = token() || null;
  const parts = [showBackends(), get("/v1/models").then(({ data }) => (models = data.map(({ id }) => id)))];
  const results = await Promise.allSettled([refresh(), ...parts]);
  showBackend();
  const failed = results.map(({ reason }) => reason).find(Boolean);
  if (failed) $("begin-wrong").textContent = failed.message;
  route();
}

$("wanted").addEventListener("change", refresh);
$("more").addEventListener("click", () => {
  shown += PAGE;
  void refresh();
});
$("backend").addEventListener("change", showBackend);
$("beginning").addEventListener("submit", begin);
$("first").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("beginning").requestSubmit();
});
document.addEventListener("click", ({ target }) => {
  if (!$("menu").contains(target)) $("menu").open = false;
});
$("menu").addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !$("menu").open) return;
  $("menu").open = false;
  $("menu").firstElementChild.focus();
});
addEventListener("hashchange", route);
onToken(show);
await show();
setTimeout(look, LOOK_MS);
