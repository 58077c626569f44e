// One session on the page: its transcript as it grows, what it asks, and what can be done with it.

import { $, make } from "./page.js";
import { Transcript, cost, inputOf, number } from "./transcript.js";

const TAIL = 400; // events that are shown at first; earlier ones on demand
const AT_ONCE = 1000;
const FRAME = 300; // events that are drawn before people may do something again
const NEAR_END_PX = 60; // who has scrolled further up reads there, and is left alone
const SETTLE_MS = 150;
const LOOK_MS = 1000;
const AWAY = ["unreachable", "timeout", "shutting_down"];
const CHANGES = ["status_change", "usage", "approval_request", "approval_resolved", "directory_change"];
const STOPPED = ["suspended", "failed"];

export const STATES = {
  initializing: "beginning",
  active: "at work",
  waiting_input: "waits for you",
  idle: "idle",
  suspended: "suspended",
  failed: "failed",
  terminated: "ended",
};
const WORKING = ["initializing", "active", "waiting_input"];
const PROMPTS = {
  terminated: "This session has ended.",
  suspended: "Suspended: a message resumes it.",
  failed: "It has failed: a message tries again.",
};

const drafts = new Map(); // what was written in a session, and not sent

export const titleOf = ({ title, id }) => title || `Untitled ${id.slice(-6)}`;

export class SessionView {
  #client;
  #id;
  #session = null;
  #leave = new AbortController();
  #transcript = null;
  #opened = new Set(); // what people have unfolded
  #events = []; // all that were shown, in order
  #waiting = []; // what comes next
  #scheduled = false;
  #atEnd = true;
  #settling;
  #questions = new Map();
  #cards = new Map();
  #answering = null; // the card that had the focus
  #onChange;

  constructor(client, id, onChange) {
    this.#client = client;
    this.#id = id;
    this.#onChange = onChange;
    $("wrong").textContent = "";
    $("message").value = drafts.get(id) ?? "";
    this.#wire();
    this.#connection("connecting");
  }

  async open() {
    const { signal } = this.#leave;
    try {
      const session = await this.#find();
      if (signal.aborted) return;
      this.#show(session);
      this.#transcript = new Transcript(this.#opened, session.directory);
      $("log").append(this.#transcript.element);
      if (matchMedia("(hover: hover)").matches) $("message").focus(); // on a phone, its keyboard would come
      const after = Math.max(0, session.lastSeq - TAIL);
      $("earlier").hidden = after === 0;
      const onConnection = (connected) => this.#connection(connected ? "live" : "reconnecting");
      const events = this.#client.stream(this.#id, { after, reconnectS: Infinity, onConnection, signal });
      for await (const event of events) this.#hear(event);
      this.#connection("ended");
    } catch (error) {
      if (signal.aborted) return;
      this.#connection("lost");
      this.#fail(error);
    }
  }

  // It waits for a gateway that is being started again.
  async #find() {
    for (;;) {
      try {
        return await this.#client.getSession(this.#id);
      } catch (error) {
        if (this.#leave.signal.aborted || !AWAY.includes(error.code)) throw error;
      }
      this.#connection("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  close() {
    drafts.set(this.#id, $("message").value);
    this.#leave.abort();
    clearTimeout(this.#settling);
    this.#transcript?.element.remove();
    for (const card of this.#cards.values()) card.remove();
    $("menu").open = false;
  }

  // What happens.

  #hear(event) {
    this.#waiting.push(event);
    if (event.type === "approval_request") {
      this.#questions.set(event.data.requestId, event.content);
    }
    if (event.type === "status_change" && this.#session && event.seq > this.#session.lastSeq) {
      this.#show({ ...this.#session, state: event.data.to });
      this.#announce(event);
    }
    if (CHANGES.includes(event.type)) this.#refreshSoon();
    this.#drawSoon();
  }

  // Frames are not drawn in hidden pages; what happens there is kept up with all the same.
  #drawSoon() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      if (this.#leave.signal.aborted) return;
      this.#draw(this.#waiting.splice(0, FRAME));
      if (this.#waiting.length) this.#drawSoon();
    };
    if (document.hidden) setTimeout(draw);
    else requestAnimationFrame(draw);
  }

  #draw(events) {
    this.#events.push(...events);
    this.#transcript.add(events);
    if (this.#atEnd) $("log").scrollTop = $("log").scrollHeight;
    else $("latest").hidden = false;
  }

  // Earlier events are shown by showing everything anew, with them first; what is read stays where it is.
  async #earlier() {
    const first = this.#events[0]?.seq ?? 1;
    const from = Math.max(0, first - 1 - AT_ONCE);
    $("earlier").disabled = true;
    try {
      const earlier = await this.#range(from, first);
      if (this.#leave.signal.aborted) return;
      const log = $("log");
      const below = log.scrollHeight - log.scrollTop;
      this.#events.unshift(...earlier);
      const before = this.#transcript.element;
      this.#transcript = new Transcript(this.#opened, this.#session.directory);
      this.#transcript.add(this.#events);
      before.replaceWith(this.#transcript.element);
      log.scrollTop = log.scrollHeight - below;
      $("earlier").hidden = from === 0;
    } catch (error) {
      this.#fail(error);
    } finally {
      $("earlier").disabled = false;
    }
  }

  // The events between these numbers, however many the gateway gives at once.
  async #range(after, before) {
    const found = [];
    while (after < before - 1) {
      const { events } = await this.#client.events(this.#id, { after, limit: Math.min(AT_ONCE, before - 1 - after) });
      if (!events.length) break;
      found.push(...events.filter(({ seq }) => seq < before));
      after = events.at(-1).seq;
    }
    return found;
  }

  #announce({ data: { from, to } }) {
    if (to === "waiting_input") $("news").textContent = "It waits for your answer.";
    else if (WORKING.includes(from) && !WORKING.includes(to)) $("news").textContent = `The turn has ended: ${STATES[to]}.`;
  }

  #refreshSoon() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#refresh(), SETTLE_MS);
  }

  async #refresh() {
    try {
      const session = await this.#client.getSession(this.#id);
      if (!this.#leave.signal.aborted) this.#show(session);
    } catch {
      // The gateway is away, which the connection tells; it comes back with an event, or is asked then.
    }
  }

  // How it is.

  #show(session) {
    this.#session = session;
    const { state } = session;
    const working = WORKING.includes(state);
    const title = titleOf(session);
    $("title").textContent = title;
    document.title = `${state === "waiting_input" ? "(?) " : ""}${title} · Rhetor`;
    $("state").textContent = STATES[state] ?? state;
    $("state").className = `state ${state}`;
    $("session").className = working ? (state === "waiting_input" ? "working waiting" : "working") : "";
    $("facts").replaceChildren(...factsOf(session).map((fact) => make("li", "", fact)));
    $("suspend").hidden = STOPPED.includes(state) || state === "terminated";
    $("resume").hidden = !STOPPED.includes(state);
    $("terminate").hidden = state === "terminated";
    $("summarize").hidden = $("clear").hidden = session.backend !== "chat" || state !== "idle";
    const focused = document.activeElement;
    $("stop").hidden = !working;
    $("send").hidden = working;
    $("send").disabled = $("message").disabled = state === "terminated";
    if (focused === $(working ? "send" : "stop")) $("message").focus(); // a hidden button would lose it to the page
    $("message").placeholder = PROMPTS[state] ?? (working ? "What comes next?" : "Say something");
    this.#ask(state === "waiting_input" ? session.waitingFor : []);
    this.#onChange();
  }

  #connection(state) {
    $("connection").className = state;
    $("connection").textContent = state === "reconnecting" ? "reconnecting …" : state;
    if (state === "live") this.#refreshSoon();
  }

  #fail(error) {
    $("wrong").textContent = error.message;
    this.#onChange(error);
  }

  // What it asks.

  #ask(approvals) {
    const ids = new Set(approvals.map(({ requestId }) => requestId));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      if (card === this.#answering || card.contains(document.activeElement)) $("message").focus();
      card.remove();
      this.#cards.delete(id);
    }
    for (const approval of approvals) {
      if (this.#cards.has(approval.requestId)) continue;
      const card = this.#card(approval);
      this.#cards.set(approval.requestId, card);
      $("asks").append(card);
    }
  }

  #card({ requestId, tool, input, always, question }) {
    const note = make("input", "");
    note.placeholder = "Tell it why (with Deny)";
    note.ariaLabel = "Message to the agent";
    const wrong = make("p", "bad");
    wrong.role = "alert";
    const button = (className, text, answer) => {
      const element = make("button", className, text);
      element.type = "button";
      element.addEventListener("click", () => this.#answer(card, wrong, answer));
      return element;
    };
    const buttons = [button("plain deny", "Deny", () => this.#client.deny(this.#id, requestId, note.value.trim() || undefined))];
    if (always) buttons.push(button("plain", "Always", () => this.#client.approve(this.#id, requestId, { always: true })));
    buttons.push(button("", "Approve", () => this.#client.approve(this.#id, requestId)));
    note.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) buttons[0].click();
    });
    const asked = question || this.#questions.get(requestId) || `May it use ${tool}?`;
    const title = make("p", "asking", make("strong", "", tool), asked);
    const card = make("article", "ask", title, ...inputOf(input ?? {}), make("div", "bar", note, ...buttons), wrong);
    card.ariaLabel = `It asks whether it may use ${tool}`;
    return card;
  }

  async #answer(card, wrong, answer) {
    const controls = card.querySelectorAll("button, input");
    this.#answering = card;
    for (const control of controls) control.disabled = true;
    try {
      this.#show(await answer());
    } catch (error) {
      wrong.textContent = error.message;
      for (const control of controls) control.disabled = false;
      this.#refreshSoon();
    }
  }

  // What people do.

  #wire() {
    const { signal } = this.#leave;
    const on = (id, type, act) => $(id).addEventListener(type, act, { signal });
    on("composer", "submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    on("message", "keydown", (event) => this.#onKey(event));
    on("stop", "click", () => this.#do(() => this.#client.interrupt(this.#id)));
    on("suspend", "click", () => this.#do(() => this.#client.suspend(this.#id)));
    on("resume", "click", () => this.#do(() => this.#client.resume(this.#id)));
    on("summarize", "click", () => this.#do(() => this.#client.summarize(this.#id)));
    on("clear", "click", () => this.#do(() => this.#client.clearContext(this.#id)));
    on("terminate", "click", () => this.#end());
    on("forget", "click", () => this.#forget());
    for (const format of ["md", "txt", "json"]) on(`export-${format}`, "click", () => this.#do(() => this.#export(format)));
    on("earlier", "click", () => this.#earlier());
    on("latest", "click", () => {
      this.#atEnd = true;
      $("log").scrollTop = $("log").scrollHeight;
    });
    on("log", "scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = $("log");
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
      if (this.#atEnd) $("latest").hidden = true;
    });
  }

  #onKey(event) {
    if (event.key === "Escape" && WORKING.includes(this.#session?.state)) $("stop").click();
    // While an input method composes, Enter is its own.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!$("send").hidden && !$("send").disabled) $("composer").requestSubmit();
  }

  async #send() {
    const text = $("message").value;
    if (!text.trim() || !this.#session) return;
    const resume = STOPPED.includes(this.#session.state) || undefined;
    $("message").value = "";
    this.#atEnd = true;
    const sent = await this.#do(async () => (await this.#client.send(this.#id, text, { resume })).session);
    if (!sent && !this.#leave.signal.aborted) $("message").value ||= text;
  }

  async #end() {
    const sure = await confirmed("End this session?", "Whatever it does is stopped. Its transcript can still be read.", "End it");
    if (sure) await this.#do(() => this.#client.terminate(this.#id));
  }

  async #forget() {
    const sure = await confirmed("Delete this session?", "It is gone for good, with its transcript and its files.", "Delete it");
    if (sure && (await this.#do(() => this.#client.forget(this.#id)))) location.hash = "#new";
  }

  async #export(format) {
    const text = await this.#client.exportSession(this.#id, format);
    const link = make("a", "");
    link.href = URL.createObjectURL(new Blob([text]));
    link.download = `${this.#id}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }

  // Whether it went well; what it answers is how the session is now, or something else.
  async #do(act) {
    $("menu").open = false;
    $("wrong").textContent = "";
    try {
      const answer = await act();
      if (this.#leave.signal.aborted) return true;
      if (answer?.lastSeq >= this.#session?.lastSeq && answer.state) this.#show(answer);
      this.#refreshSoon();
      return true;
    } catch (error) {
      if (!this.#leave.signal.aborted) this.#fail(error);
      return false;
    }
  }
}

function factsOf({ id, backend, model, currentDirectory, directory, usage, permissions }) {
  const used = usage.calls ? `${number(usage.inputTokens)} + ${number(usage.outputTokens)} tokens` : null;
  const price = usage.calls ? cost(usage.costMicros) : null;
  const where = currentDirectory ?? directory;
  const own = where?.includes(id); // a folder that nobody chose
  const asAgent = backend === "chat" ? [] : [own ? null : where, permissions?.replaceAll("_", " ")];
  return [backend, model, price, used, ...asAgent].filter(Boolean);
}

async function confirmed(title, text, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
