// What happened in a session, as elements: one event after the other, each where it belongs.

import { dollars, make } from "./page.js";
import { Prose } from "./prose.js";

const IN_TURN = ["initializing", "active", "waiting_input"];
const TOLD_BY = ["command", "file_path", "filePath", "path", "pattern", "query", "url", "description", "prompt"];
const MOST_SHOWN = 20_000; // characters of one result; the rest on demand
const FILE_WORDS = { create: "created", edit: "edited", delete: "deleted" };
const MOVES = { suspended: "Suspended", failed: "Failed", terminated: "Ended" };
const VERDICTS = { allow: "allowed", deny: "denied", withdrawn: "withdrawn" };

export const number = (count) => count.toLocaleString("en");
export const cost = (micros) => (micros === null ? "price not known" : `$${dollars(micros, micros < 10_000 ? 6 : 4, 2)}`);

export class Transcript {
  element = make("div", "transcript");
  #opened; // keys of what people have unfolded
  #directory;
  #event = null; // what is being shown
  #turn = null;
  #piece = null; // what the next piece of the same message is added to
  #tools = new Map();
  #asked = new Map();
  #undrawn = new Set();

  constructor(opened, directory) {
    this.#opened = opened;
    this.#directory = directory ? `${directory.replace(/\/$/, "")}/` : null;
  }

  // A path as it is called from where the session works.
  near(path) {
    return this.#directory && path.startsWith(this.#directory) ? path.slice(this.#directory.length) : path;
  }

  add(events) {
    for (const event of events) {
      this.#event = event;
      if (Object.hasOwn(SHOWN, event.type)) SHOWN[event.type].call(this, event);
    }
    for (const one of this.#undrawn) one.draw();
    this.#undrawn.clear();
  }

  show(element, beside = false) {
    const turn = this.#turnNow();
    this.#piece = null;
    (beside ? turn.element : turn.body).append(element);
  }

  #turnNow() {
    if (this.#turn && this.#event.turn <= this.#turn.number) return this.#turn;
    this.#turn = new Turn(this.#event);
    this.element.append(this.#turn.element);
    return this.#turn;
  }

  said({ content, data: { messageId }, type, seq }) {
    const key = `${this.#event.turn} ${type} ${messageId}`;
    if (this.#piece?.key !== key) {
      const prose = new Prose();
      const thinking = type === "thinking";
      const element = thinking ? this.folded(seq, "thinking", ["Thinking"], () => [prose.element]) : prose.element;
      this.show(element);
      this.#piece = { key, prose };
    }
    this.#piece.prose.add(content);
    this.#undrawn.add(this.#piece.prose);
  }

  used(event) {
    const tool = new Tool(event.data, (path) => this.near(path));
    this.#tools.set(event.data.id, tool);
    tool.element = this.folded(event.seq, "tool", tool.title, () => tool.body());
    this.show(tool.element);
  }

  came({ content, data, seq }) {
    let tool = this.#tools.get(data.id);
    if (!tool) {
      // What it came of is further up, where nobody has looked yet.
      tool = new Tool({ name: data.name || "result" }, String);
      tool.element = this.folded(seq, "tool", tool.title, () => tool.body());
      this.show(tool.element);
    }
    tool.end(content, data.isError);
  }

  asks({ content, data, seq }) {
    const verdict = make("span", "state", "waits for an answer");
    const question = content || `May it use ${data.tool}?`;
    const title = [make("span", "name", "Asked"), make("span", "hint", question), verdict];
    const element = this.folded(seq, "asked", title, () => [make("p", "", question), ...inputOf(data.input)]);
    this.#asked.set(data.requestId, { element, verdict });
    this.show(element);
  }

  answered({ data: { requestId, decision, message, by } }) {
    const asked = this.#asked.get(requestId);
    if (!asked) return;
    const words = [VERDICTS[decision] ?? decision];
    if (by === "rule") words.push("by rule");
    asked.verdict.textContent = words.join(" ") + (message ? `: ${message}` : "");
    asked.element.classList.add(decision === "allow" ? "allowed" : "refused");
  }

  booked({ data }) {
    this.#turn?.book(data);
  }

  moved({ data: { from, to, reason = "" }, at }) {
    if (IN_TURN.includes(from) && !IN_TURN.includes(to)) this.#turn?.end(reason, at);
    const back = ["suspended", "failed"].includes(from) && to !== "terminated";
    const words = back ? "Resumed" : Object.hasOwn(MOVES, to) ? MOVES[to] : null;
    if (!words) return;
    const said = reason && !reason.startsWith(to) && !back ? `${words}: ${reason.replaceAll("_", " ")}` : words;
    const line = make("p", `moved ${to === "failed" ? "bad" : ""}`, `${said} · ${new Date(at).toLocaleTimeString()}`);
    this.show(line, true);
  }

  // A part that shows what is in it once somebody unfolds it.
  folded(key, className, title, body) {
    const element = make("details", className, make("summary", "", ...title));
    let filled = false;
    element.addEventListener("toggle", () => {
      if (!element.open) return this.#opened.delete(key);
      this.#opened.add(key);
      if (!filled) element.append(make("div", "inside", ...body()));
      filled = true;
    });
    element.open = this.#opened.has(key);
    return element;
  }
}

// How each type of event is shown; `this` is the transcript.
const SHOWN = {
  user({ content, at }) {
    const said = make("div", "question", content);
    said.title = new Date(at).toLocaleString();
    this.show(said);
  },
  assistant: Transcript.prototype.said,
  thinking: Transcript.prototype.said,
  tool_use: Transcript.prototype.used,
  tool_result: Transcript.prototype.came,
  approval_request: Transcript.prototype.asks,
  approval_resolved: Transcript.prototype.answered,
  usage: Transcript.prototype.booked,
  status_change: Transcript.prototype.moved,
  file_change({ content, data: { path, kind } }) {
    const word = Object.hasOwn(FILE_WORDS, kind) ? FILE_WORDS[kind] : kind;
    const where = make("code", "", this.near(path ?? content));
    this.show(make("p", "file", make("span", `kind ${word === kind ? "" : kind}`, word), where));
  },
  directory_change({ content }) {
    this.show(make("p", "file", make("span", "kind", "now in"), make("code", "", this.near(content))));
  },
  error({ content, data: { code, origin } }) {
    const from = [code, origin].filter(Boolean).join(" · ");
    this.show(make("p", "wrong", content, ...(from ? [make("small", "", from)] : [])));
  },
  system({ content, data, seq }) {
    const title = content || data.subtype;
    if (!title) return; // a backend's own bookkeeping; exports have it
    this.show(this.folded(seq, "system", [make("span", "hint", `System: ${title}`)], () => [block(json(data))]));
  },
};

class Turn {
  #began;
  #foot = make("p", "foot");
  #used = { calls: 0, input: 0, output: 0, micros: 0 };
  #words = [];

  constructor({ turn, type, at }) {
    this.number = turn;
    this.#began = type === "user" ? new Date(at) : null; // else its beginning is further up
    this.body = make("div", "body");
    this.element = make("section", "turn", this.body, this.#foot);
  }

  book({ inputTokens, outputTokens, costMicros }) {
    const used = this.#used;
    used.calls++;
    used.input += inputTokens ?? 0;
    used.output += outputTokens ?? 0;
    used.micros = costMicros === null || used.micros === null ? null : used.micros + (costMicros ?? 0);
    this.#tell();
  }

  end(reason, at) {
    const took = this.#began && `${((new Date(at) - this.#began) / 1000).toFixed(1)} s`;
    this.#words = [reason === "end" ? "" : reason.replaceAll("_", " "), took].filter(Boolean);
    this.#tell();
  }

  #tell() {
    const { calls, input, output, micros } = this.#used;
    const used = calls ? [`${number(calls)} call${calls === 1 ? "" : "s"}`, `${number(input)} + ${number(output)} tokens`, cost(micros)] : [];
    this.#foot.textContent = [...this.#words, ...used].join(" · ");
  }
}

// A tool that an agent uses, with what came of it.
class Tool {
  #input;
  #output = null;
  #place = make("div", "");
  #state = make("span", "state", "…");

  constructor({ name, input = {} }, near) {
    this.#input = input ?? {};
    const hint = TOLD_BY.map((key) => this.#input[key]).find((value) => typeof value === "string") ?? "";
    this.title = [make("span", "name", name), make("span", "hint", near(hint.split("\n")[0])), this.#state];
  }

  end(output, failed) {
    this.#output = output;
    this.#state.textContent = failed ? "failed" : "done";
    this.element.classList.add(failed ? "failed" : "done");
    this.#place.replaceChildren(...shortened(output));
  }

  body() {
    return [...inputOf(this.#input), this.#place];
  }
}

// What a tool is given, as people read it: a command, a change, or all of it.
export function inputOf(input) {
  const { command, old_string: before, new_string: after, ...rest } = input;
  if (typeof command === "string") return [block(command, "input")];
  if (typeof before === "string" && typeof after === "string") {
    const path = rest.file_path ?? rest.filePath;
    return [...(path ? [make("p", "path", make("code", "", String(path)))] : []), block(before, "before"), block(after, "after")];
  }
  const values = Object.values(input);
  if (values.length === 1 && typeof values[0] === "string") return [block(values[0], "input")];
  return values.length ? [block(json(input), "input")] : [];
}

function shortened(text) {
  if (!text) return [];
  if (text.length <= MOST_SHOWN) return [block(text)];
  const more = make("button", "plain", `Show all ${number(text.length)} characters`);
  more.type = "button";
  const shown = block(text.slice(0, MOST_SHOWN));
  more.addEventListener("click", () => {
    shown.textContent = text;
    more.remove();
  });
  return [shown, more];
}

function block(text, className = "") {
  const element = make("pre", className, text);
  element.tabIndex = 0; // it may scroll
  return element;
}

const json = (value) => JSON.stringify(value, null, 2);
