// Says what it is asked, in every capability; how, its model says.
import {
  Failure, Provider, data, finished, link, medium, progress, ranked, refusal, spoken, text, thinking, timed,
  toolUse, usage, vector,
} from "rhetor-provider";

console.log("hello from the parrot");
process.stdout.write("so does this\n");
const left = [];

export default class Papagei extends Provider {
  async *stream(request) {
    yield progress(0.5, "thinking");
    const tell = this[request.model] ?? this[request.capability.replaceAll("-", "_")];
    yield* tell.call(this, request);
    yield usage({ input_tokens: request.text.length, output_tokens: 1 });
  }

  async *text_to_text(request) {
    yield thinking("hm");
    for (const message of request.messages) yield text(`${message.role}: ${message.text}; `);
    for (const it of request.media) yield `[${it.mediaType} ${it.data.length}]`;
    if (request.input.tools) {
      yield toolUse(request.input.tools[0].name, { said: request.text });
      yield finished("tool_use");
    }
  }

  image_to_text(request) {
    return this.text_to_text(request);
  }

  *embeddings(request) {
    for (const it of request.input.inputs) yield vector([it.length, 0.5]);
  }

  *rerank(request) {
    for (let index = request.input.documents.length - 1; index >= 0; index--) yield ranked(index, index / 10);
  }

  *text_to_image(request) {
    for (let index = 0; index < request.option("count", 1); index++) {
      yield medium("image/png", Buffer.from(`\x89PNG\n${index}`, "latin1"), request.text);
    }
    yield link("https://example.com/x.png", "image/png");
  }

  *text_to_audio() {
    yield medium("audio/wav");
    for (let n = 0; n < 3; n++) yield data(Buffer.alloc(400_000, "\0\n"));
  }

  *audio_to_text(request) {
    const [audio] = request.media;
    if (request.input.audio !== audio) throw new Error("not the same");
    yield spoken("en", 1.5);
    yield `${audio.name} ${audio.mediaType} ${audio.data.length} b'${audio.data.toString("latin1", 0, 4)}'`;
    yield timed("moo", 0, 1.5, { kind: "word" });
  }

  *text_to_video() {
    yield medium("video/mp4", Buffer.from("film"));
  }

  // How it may misbehave.

  async *waits(request) {
    yield "now";
    await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    left.push(request.text);
  }

  *who_left() {
    yield left.join(", ");
  }

  async *dies() {
    yield "now";
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.exit(3);
  }

  *hangs() {
    yield "now";
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }

  fails() {
    throw new Failure(`no more moo, my key is ${process.env.PARROT_KEY}`, "rate_limited", 7);
  }

  *breaks() {
    yield "now";
    throw new TypeError("broken");
  }

  *refuses() {
    yield refusal("no");
  }

  *floods() {
    for (;;) yield "x".repeat(1000);
  }

  async *counts(request) {
    for (let number = 0; number < Number(request.text); number++) {
      yield `${number} `;
      await null;
    }
  }

  *environment() {
    yield Object.keys(process.env).sort().join(" ");
  }

  models() {
    return ["parrot", { id: "big", name: "Big", capabilities: ["text-to-text"], context_tokens: 1000 }];
  }

  testConnection() {
    return `awake, ${process.env.PARROT_KEY ?? "no key"}`;
  }
}
