/** Sessions of a real gateway: a chat, the provider behind it, and a network between that can be cut. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionsClient } from "../src/sessions.js";
import { skip as missing, startNetwork, startProvider, startRhetor } from "./house.js";

const TOKEN = "t0ken-of-a-page";
const real = { skip: missing, timeout: 60_000 };
const WORDS = ["one", " two", " three", " four", " five"];

/** A client of a gateway with a provider behind it, and the network between the two. */
async function house(t, options = {}, { token, refuses } = {}) {
  const provider = await startProvider(t);
  const gateway = await startRhetor(t, provider, { token });
  const network = await startNetwork(t, gateway.url, { refuses });
  const sessions = new SessionsClient({ rhetorUrl: network.url, ...options });
  const begin = (more = {}) => sessions.createSession({ backend: "chat", model: "lab/small", ...more });
  return { begin, gateway, network, provider, sessions };
}

async function rest(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** Events up to the first of which this is true. */
async function until(stream, isIt) {
  const events = [];
  for (;;) {
    const { done, value } = await stream.next();
    assert.ok(!done, "the session has ended");
    events.push(value);
    if (isIt(value)) return events;
  }
}

const textOf = (events) => events.filter(({ type }) => type === "assistant").map(({ content }) => content).join("");
const says = (word) => ({ type, content }) => type === "assistant" && content.includes(word);
const becomes = (state) => ({ type, data }) => type === "status_change" && data.to === state;
const numbers = (events) => events.map(({ seq }) => seq);
const counted = (events) => Array.from(events, (_, at) => at + 1);
const upgrades = ({ heads }) => heads.filter((head) => /^upgrade: websocket/im.test(head)).length;

for (const transport of ["websocket", "sse"]) {
  const over = (name, body) => test(`${name}, over ${transport}`, real, async (t) => body(t, await house(t, { transport })));

  over("a conversation is told while it is had, and ends with its turn", async (t, { begin, provider, sessions }) => {
    const { id } = await begin({ title: "Counting" });
    const play = provider.next(WORDS, 1);
    const turn = sessions.converse(id, "count to five");
    await until(turn, says("one"));
    assert.equal((await sessions.getSession(id)).state, "active");
    play.go();
    const events = await rest(turn);
    assert.equal(textOf(events), " two three four five");
    assert.deepEqual([events.at(-1).data.to, events.at(-1).data.reason], ["idle", "end"]);
    assert.equal((await play.asked).messages.at(-1).content, "count to five");

    provider.next(["six"]);
    assert.equal(textOf(await rest(sessions.converse(id, "and on"))), "six");
    const isBooked = ({ type }) => type === "usage";
    const log = sessions.stream(id);
    await until(log, isBooked);
    await until(log, isBooked);
    await log.return();
    const { title, turn: turns, usage } = await sessions.getSession(id);
    assert.deepEqual([title, turns, usage.calls], ["Counting", 2, 2]);
  });

  over("the first message may come with the session", async (t, { begin, sessions }) => {
    const { id } = await begin({ message: "hi" });
    assert.equal(textOf(await rest(sessions.stream(id, { until: "turn" }))), "hello world");
  });

  over("a gateway that is killed and started again loses no event and doubles none", async (t, { begin, gateway, provider, sessions }) => {
    const { id } = await begin();
    provider.next(WORDS, 2);
    const told = [];
    const stream = sessions.stream(id, { onConnection: (connected) => told.push(connected) });
    await sessions.send(id, "count");
    const before = await until(stream, says("one"));
    await gateway.stop();
    await gateway.start();
    const after = await until(stream, becomes("suspended"));
    assert.deepEqual(told.slice(0, 3), [true, false, true]);

    provider.next(["hello again"]);
    await assert.rejects(sessions.send(id, "x"), { code: "conflict", state: "suspended" });
    await sessions.send(id, "go on", { resume: true });
    const resumed = await until(stream, becomes("idle"));
    const answered = await until(stream, becomes("idle"));
    assert.equal(textOf(answered), "hello again");
    await sessions.terminate(id);
    const events = [...before, ...after, ...resumed, ...answered, ...(await rest(stream))];
    assert.deepEqual(numbers(events), counted(events));
    assert.ok(events.some(becomes("terminated")));
    assert.deepEqual(await rest(sessions.stream(id)), events);
  });

  over("cuts again and again change nothing", async (t, { begin, network, provider, sessions }) => {
    const { id } = await begin();
    const words = Array.from({ length: 12 }, (_, n) => `${n} `);
    const play = provider.next(words, ...words.keys());
    await sessions.send(id, "count");
    const events = [];
    for await (const event of sessions.stream(id, { until: "turn" })) {
      events.push(event);
      if (event.type === "assistant") network.cut();
      if (event.type === "assistant" || becomes("active")(event)) play.go();
    }
    assert.equal(textOf(events), words.join(""));
    assert.deepEqual(numbers(events), counted(events));
  });

  over("a reader that does not read does not fill the memory, and loses nothing", async (t, { begin, provider, sessions }) => {
    const { id } = await begin();
    const words = Array.from({ length: 300 }, (_, n) => `${n} `.padEnd(10_000, "."));
    provider.next(words);
    const stream = sessions.stream(id, { until: "turn" });
    const first = await stream.next();
    await sessions.send(id, "much");
    await rest(sessions.stream(id, { after: first.value.seq, until: "turn" })); // somebody else has read it all
    const events = [first.value, ...(await rest(stream))];
    assert.equal(textOf(events), words.join(""));
    assert.deepEqual(numbers(events), counted(events));
  });

  over("whoever leaves leaves the turn as it is; interrupting ends it", async (t, { begin, provider, sessions }) => {
    const { id } = await begin();
    const play = provider.next(WORDS, 1);
    for await (const event of sessions.converse(id, "count")) if (says("one")(event)) break;
    assert.equal((await sessions.getSession(id)).state, "active");
    await assert.rejects(sessions.send(id, "more"), { code: "conflict", state: "active" });
    await sessions.interrupt(id);
    await play.left;
    const [last] = (await rest(sessions.stream(id, { until: "turn" }))).slice(-1);
    assert.deepEqual([last.data.to, last.data.reason], ["idle", "interrupted"]);
  });

  over("it is suspended, and resumed by its state", async (t, { begin, provider, sessions }) => {
    const { id } = await begin();
    await rest(sessions.converse(id, "hi"));
    const state = await sessions.suspend(id);
    assert.deepEqual([state.session_id, (await sessions.getSession(id)).state], [id, "suspended"]);
    assert.equal((await sessions.resume(id, { state })).state, "idle");
    const play = provider.next(["still here"]);
    assert.equal(textOf(await rest(sessions.converse(id, "and now?"))), "still here");
    assert.equal((await play.asked).messages.length, 3);
  });

  over("what is not there is not found", async (t, { sessions }) => {
    const unknown = `ses_${"0".repeat(24)}`;
    await assert.rejects(rest(sessions.stream(unknown)), { name: "TektonLLMError", code: "not_found", status: 404 });
    await assert.rejects(rest(sessions.converse(unknown, "hi")), { code: "not_found" });
  });

  test(`a token, over ${transport}`, real, async (t) => {
    const { begin, network, sessions } = await house(t, { transport, authToken: TOKEN }, { token: TOKEN });
    const { id } = await begin();
    assert.equal(textOf(await rest(sessions.converse(id, "hi"))), "hello world");
    assert.ok(network.heads.every((head) => !head.split("\r\n")[0].includes(TOKEN)));
    const stranger = new SessionsClient({ rhetorUrl: network.url, transport, authToken: "wrong" });
    await assert.rejects(rest(stranger.stream(id)), { code: "unauthenticated", status: 401 });
  });
}

test("where the upgrade is refused, server-sent events do, and it is not tried again", real, async (t) => {
  const { gateway, network, sessions } = await house(t, {}, { refuses: /^upgrade: websocket/im });
  const elsewhere = new SessionsClient({ rhetorUrl: gateway.url }); // an open connection would be upgraded, past the network's eye
  const { id } = await elsewhere.createSession({ backend: "chat", model: "lab/small", message: "hi" });
  assert.equal(textOf(await rest(sessions.stream(id, { until: "turn" }))), "hello world");
  assert.equal(textOf(await rest(sessions.stream(id, { until: "turn" }))), "hello world");
  assert.equal(upgrades(network), 1);
});

test("sessions are listed, read, exported, ended and forgotten", real, async (t) => {
  const { begin, sessions } = await house(t);
  const { id } = await begin({ title: "One", metadata: { mine: 1 } });
  const two = await begin({ title: "Two" });
  await rest(sessions.converse(id, "hi"));
  while ((await sessions.getSession(two.id)).state !== "idle") await new Promise(setImmediate);

  const listed = await sessions.listSessions({ state: ["idle"], limit: 1 });
  assert.deepEqual([listed.sessions.length, listed.total, listed.hasMore], [1, 2, true]);
  assert.deepEqual([listed.sessions[0].title, listed.sessions[0].metadata], ["One", { mine: 1 }]);
  const { events, lastSeq, ended } = await sessions.events(id, { after: 1, limit: 2 });
  assert.deepEqual([numbers(events), ended, lastSeq > 3], [[2, 3], false, true]);
  assert.match(await sessions.exportSession(id, "md"), /hello world/);
  assert.equal(JSON.parse(await sessions.exportSession(id)).id ?? JSON.parse(await sessions.exportSession(id)).session.id, id);
  assert.ok((await sessions.stats(id)).turns >= 1);

  assert.equal((await sessions.terminate(id, "done")).state, "terminated");
  await assert.rejects(sessions.send(id, "hi"), { code: "conflict", state: "terminated" });
  await sessions.forget(id);
  await assert.rejects(sessions.getSession(id), { code: "not_found" });
});

test("who converses is chosen by what is demanded", real, async (t) => {
  const { sessions } = await house(t);
  const backends = await sessions.backends();
  const chat = backends.find(({ name }) => name === "chat");
  assert.ok(chat.healthy && chat.abilities.includes("streaming"));
  const demands = { model: "lab/small", capabilities: ["streaming"] };
  const { backend, model } = await sessions.chooseSession(demands);
  assert.deepEqual([backend, model], ["chat", "lab/small"]);
  const session = await sessions.createSessionWithAutoSelection("hi", demands);
  assert.deepEqual([session.backend, session.selection.backend], ["chat", "chat"]);
  assert.equal(textOf(await rest(sessions.stream(session.id, { until: "turn" }))), "hello world");
});
