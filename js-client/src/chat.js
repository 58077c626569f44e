/**
 * `<rhetor-chat>`: a conversation with a model, dropped into a page.
 *
 *     <script src="/static/js/rhetor-chat.js"></script>
 *     <rhetor-chat url="/api/llm" component="my-page" system="Be brief."></rhetor-chat>
 *
 * Attributes: url, component, provider, model, system, placeholder, label. What is secret is a property: `token`.
 * Events: `rhetor-answer` and `rhetor-error`, with the last chunk or the error as detail.
 */

import { STYLE } from "./chat-style.js";
import { TektonLLMClient } from "./client.js";
import { TektonLLMError } from "./errors.js";

/** @import {Chunk, Message} from "./protocol.js" */

const REACH = ["url", "component", "provider", "model"]; // attributes that say who is asked, and where
const WORDS = ["placeholder", "label"];
const NEAR_END_PX = 48; // who has scrolled further up reads there, and is left alone

// Where there are no elements, as in Node, the module can be imported all the same.
const Element = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class RhetorChat extends Element {
  static observedAttributes = [...REACH, ...WORDS];

  /** @type {TektonLLMClient | null} */
  #client = null;
  /** @type {string | null} */
  #token = null;
  /** @type {Message[]} */
  #messages = [];
  /** @type {AbortController | null} */
  #running = null;
  /** @type {HTMLElement | null} */
  #last = null;
  #parts;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const style = new CSSStyleSheet(); // a strict policy lets no style element in
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    const empty = make("div", { id: "empty" }, make("slot", { name: "empty", textContent: "Ask something." }));
    const log = make("div", { id: "log", role: "log", ariaLive: "off", tabIndex: 0, part: "log" }, empty);
    const prompt = make("textarea", { id: "prompt", rows: 1, enterKeyHint: "send" });
    const send = make("button", { id: "send", textContent: "Send" });
    const stop = make("button", { id: "stop", type: "button", hidden: true, textContent: "Stop" });
    const form = make("form", { part: "form" }, prompt, send, stop);
    const status = make("div", { className: "unseen", role: "status" });
    root.append(log, form, status);
    this.#parts = { empty, log, prompt, send, stop, status };

    form.onsubmit = (event) => {
      event.preventDefault();
      void this.ask(prompt.value);
    };
    stop.onclick = () => this.stop();
    root.addEventListener("keydown", (event) => this.#onKey(/** @type {KeyboardEvent} */ (event)));
    this.attributeChangedCallback("label");
  }

  /** Who the page is, for a gateway that wants to know; never an attribute, where it could be read. */
  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    this.#forgetClient();
  }

  focus() {
    this.#parts.prompt.focus();
  }

  /** What was said so far. */
  get messages() {
    return structuredClone(this.#messages);
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (REACH.includes(name)) {
      this.#forgetClient();
      return;
    }
    const { log, prompt } = this.#parts;
    log.ariaLabel = this.getAttribute("label") ?? "Conversation";
    prompt.placeholder = this.getAttribute("placeholder") ?? "Your message";
    prompt.ariaLabel = prompt.placeholder;
  }

  disconnectedCallback() {
    this.stop();
    this.#forgetClient();
  }

  /**
   * Says this to the model, and shows its answer. What was being answered is stopped.
   *
   * @param {string} text
   */
  async ask(text) {
    if (!text.trim()) return;
    this.stop();
    this.#parts.prompt.value = "";
    this.#messages.push({ role: "user", content: text });
    this.#show(make("div", { className: "question text", part: "question", textContent: text }));
    await this.#answer();
  }

  /** Has the last question answered anew. */
  async retry() {
    this.stop();
    while (this.#messages.at(-1)?.role === "assistant") this.#messages.pop();
    if (!this.#messages.length) return;
    this.#last?.remove();
    await this.#answer();
  }

  /** Ends what is being answered, at the gateway and its provider, too. What was said stays. */
  stop() {
    this.#running?.abort();
  }

  /** Forgets everything that was said. */
  clear() {
    this.stop();
    this.#messages = [];
    this.#last = null;
    this.#parts.log.replaceChildren(this.#parts.empty);
  }

  async #answer() {
    const running = (this.#running = new AbortController());
    const answer = new Answer(() => this.retry());
    this.#last = answer.element;
    this.#show(answer.element);
    this.#busy(true);
    try {
      await this.#read(answer, running.signal);
    } catch (error) {
      if (running.signal.aborted) answer.stopped();
      else this.#fail(answer, /** @type {Error} */ (error));
    } finally {
      if (this.#running === running) {
        this.#running = null;
        this.#busy(false);
      }
    }
  }

  /**
   * @param {Answer} answer
   * @param {AbortSignal} signal
   */
  async #read(answer, signal) {
    const systemPrompt = this.getAttribute("system") ?? undefined;
    /** @type {Message} */
    const message = { role: "assistant", content: "" };
    for await (const chunk of this.#reach().stream(this.messages, { systemPrompt, signal })) {
      if (signal.aborted) return answer.stopped();
      this.#following(() => answer.add(chunk));
      // From its first word on, and also when it breaks off: the model shall know what it has said.
      if (answer.text && !message.content) this.#messages.push(message);
      message.content = answer.text;
      if (chunk.error !== null) throw new TektonLLMError(chunk.error, chunk);
      if (!chunk.done) continue;
      this.#following(() => answer.ended(chunk));
      this.#parts.status.textContent = answer.text;
      this.dispatchEvent(new CustomEvent("rhetor-answer", { detail: chunk }));
    }
  }

  /**
   * @param {Answer} answer
   * @param {Error} error
   */
  #fail(answer, error) {
    this.#following(() => answer.failed(error));
    this.#parts.status.textContent = error.message;
    this.dispatchEvent(new CustomEvent("rhetor-error", { detail: error }));
  }

  #reach() {
    const [rhetorUrl, componentId, providerId, modelId] = REACH.map((name) => this.getAttribute(name) ?? undefined);
    this.#client ??= new TektonLLMClient({
      rhetorUrl,
      componentId: componentId ?? "rhetor-chat",
      providerId,
      modelId,
      authToken: this.#token,
    });
    return this.#client;
  }

  /** The next question goes by what is said now; what is being answered goes on. */
  #forgetClient() {
    this.#client = null; // its connection closes by itself when nothing goes over it
  }

  /** @param {HTMLElement} element */
  #show(element) {
    const { empty, log } = this.#parts;
    empty.remove();
    log.append(element);
    log.scrollTop = log.scrollHeight;
  }

  /** Changes the log, and stays at its end if that is what is seen. @param {() => void} change */
  #following(change) {
    const { log } = this.#parts;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    change();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  /** @param {boolean} busy */
  #busy(busy) {
    const { prompt, send, status, stop } = this.#parts;
    const focused = this.shadowRoot?.activeElement;
    stop.hidden = !busy;
    send.hidden = busy;
    this.#parts.log.ariaBusy = String(busy);
    if (busy) status.textContent = "Answering";
    if (focused === (busy ? send : stop)) prompt.focus(); // a hidden button would lose it to the page
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === "Escape" && this.#running) {
      event.preventDefault();
      this.stop();
    }
    // While an input method composes, Enter is its own.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target !== this.#parts.prompt) return;
    event.preventDefault();
    void this.ask(this.#parts.prompt.value);
  }
}

/** One answer in the log: its text, what went wrong, and who said it. All of that is text, whatever it says. */
class Answer {
  text = "";
  #thinking = "";
  #text = make("div", { className: "text" });
  #told = make("div", { className: "told" });
  #retry;

  /** @param {() => void} onRetry */
  constructor(onRetry) {
    this.element = make("div", { className: "answer streaming", part: "answer" }, this.#text, this.#told);
    this.#retry = make("button", { type: "button", className: "retry", textContent: "Retry", onclick: onRetry });
  }

  /** @param {Chunk} chunk */
  add({ chunk, thinking }) {
    if (thinking) this.#think(thinking);
    this.text += chunk;
    if (chunk) this.#text.append(chunk);
  }

  /** @param {Chunk} chunk the last one */
  ended({ provider, model, attempts }) {
    this.#text.textContent = this.text; // one node instead of one for each chunk
    const failed = attempts.filter(({ outcome }) => outcome !== "ok");
    const served = attempts.find(({ outcome }) => outcome === "ok")?.target ?? `${provider}/${model}`;
    const told = [make("span", { textContent: `answered by ${served}` })];
    if (failed.length) {
      const after = failed.map(({ target, outcome }) => `${target}: ${outcome.replaceAll("_", " ")}`).join(", ");
      told.push(make("span", { className: "after", textContent: `after ${after}` }));
    }
    this.#end(told);
  }

  stopped() {
    this.#end([make("span", { textContent: "stopped" })]);
  }

  /** @param {Error} error */
  failed(error) {
    this.#told.before(make("p", { className: "wrong", textContent: error.message }));
    this.#end([]);
  }

  /** @param {HTMLElement[]} told */
  #end(told) {
    this.element.classList.remove("streaming");
    this.#told.append(...told, this.#retry);
  }

  /** @param {string} thinking */
  #think(thinking) {
    if (!this.#thinking) {
      const shown = make("details", { className: "thoughts" }, make("summary", { textContent: "Thoughts" }), make("div", { className: "text" }));
      this.#text.before(shown);
    }
    this.#thinking += thinking;
    this.element.querySelector(".thoughts .text")?.append(thinking);
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties]
 * @param {Node[]} children
 */
function make(tag, { part, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (part) element.setAttribute("part", String(part));
  element.append(...children);
  return element;
}

if (globalThis.customElements && !customElements.get("rhetor-chat")) customElements.define("rhetor-chat", RhetorChat);
