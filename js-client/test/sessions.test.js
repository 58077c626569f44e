import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionsClient, TektonLLMError } from "../src/sessions.js";
import { says, startGateway } from "./gateway.js";

const ROW = {
  id: "ses_1",
  object: "session",
  backend: "chat",
  state: "idle",
  turn: 1,
  last_seq: 3,
  created_at: "2026-11-21T12:00:00+00:00",
  updated_at: "2026-11-21T12:00:01+00:00",
  max_turns: 3,
  current_directory: "/work",
  waiting_for: [{ request_id: "a1", tool: "Bash", input: { some_thing: 1 }, always: true }],
  usage: { calls: 1, input_tokens: 7, output_tokens: 12, cost_micros: null },
  metadata: { my_note: 1 },
};
const event = (seq, type = "assistant", content = `${seq} `, data = { message_id: "m" }) =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ seq, type, content, data, turn: 1, at: ROW.created_at, session_id: "ses_1" })}\n\n`;
const change = (seq, from, to) => event(seq, "status_change", to, { from, to, reason: "end" });

/** A client of a gateway that answers as these functions do, one after the other; the last one again and again. */
async function house(t, ...answers) {
  const gateway = await startGateway(t, (request, response) => (answers.length > 1 ? answers.shift() : answers[0])(request, response));
  return { gateway, sessions: new SessionsClient({ rhetorUrl: gateway.url, transport: "sse" }) };
}

/** These events, and then the connection is gone. */
const tells = (...events) => (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(`retry: 1000\n\n: keep-alive\n${events.join("")}`);
};
const hangsUp = (_, response) => response.destroy();
const saysNothing = (_, response) => response.writeHead(204).end();

async function all(stream) {
  const events = [];
  for await (const one of stream) events.push(one);
  return events;
}
const numbers = (events) => events.map(({ seq }) => seq);

test("a session is asked for in the gateway's words, and told in ours", async (t) => {
  const { gateway, sessions } = await house(t, says(201, ROW));

  const session = await sessions.createSession({
    backend: "claude_code",
    message: "hello",
    maxTurns: 3,
    timeoutS: 9,
    temperature: 0,
    environment: { myName: "1" },
    metadata: { my_note: 1 },
    requirements: { capabilities: ["tools"], costOptimization: true },
  });

  const { path, body, headers } = gateway.requests[0];
  assert.equal(path, "/v1/sessions");
  assert.match(headers["idempotency-key"], /^key_[0-9a-f]{24}$/);
  assert.deepEqual(body, {
    backend: "claude_code",
    max_turns: 3,
    timeout_s: 9,
    temperature: 0,
    environment: { myName: "1" },
    metadata: { my_note: 1 },
    message: "hello",
    requirements: { capabilities: ["tools"], cost_optimization: true },
  });
  assert.deepEqual([session.lastSeq, session.maxTurns, session.currentDirectory], [3, 3, "/work"]);
  assert.deepEqual(session.usage, { calls: 1, inputTokens: 7, outputTokens: 12, costMicros: null });
  assert.deepEqual(session.waitingFor, [{ requestId: "a1", tool: "Bash", input: { some_thing: 1 }, always: true }]);
  assert.deepEqual(session.metadata, { my_note: 1 });
});

test("a connection that is lost over a beginning or a message makes neither two of it", async (t) => {
  const taken = { session: ROW, message_id: "msg_1", seq: 4, again: true };
  const { gateway, sessions } = await house(t, hangsUp, says(201, ROW), hangsUp, says(202, taken));

  await sessions.createSession();
  const { session, seq, again } = await sessions.send("ses_1", "hello");

  const [first, second, third, fourth] = gateway.requests;
  assert.equal(first.headers["idempotency-key"], second.headers["idempotency-key"]);
  assert.match(third.body.message_id, /^msg_[0-9a-f]{24}$/);
  assert.deepEqual(third.body, fourth.body);
  assert.deepEqual([session.id, seq, again], ["ses_1", 4, true]);
});

test("a refusal tells the session's state, and a backend's failure whose it is", async (t) => {
  const conflict = { error: "cannot send: the session is suspended", code: "conflict", state: "suspended" };
  const missing = { error: "opencode is not installed", code: "unavailable", provider: "opencode" };
  const { sessions } = await house(t, says(409, conflict), says(503, missing));

  await assert.rejects(sessions.send("ses_1", "x"), (error) => {
    assert.ok(error instanceof TektonLLMError);
    assert.deepEqual([error.code, error.status, error.state, error.message], ["conflict", 409, "suspended", conflict.error]);
    return true;
  });
  await assert.rejects(sessions.createSession(), { code: "unavailable", provider: "opencode", state: null });
});

test("a gateway without sessions is told in its own words", async (t) => {
  const { sessions } = await house(t, says(404, { error: { message: "nothing is served at /v1/sessions", code: null } }));
  await assert.rejects(sessions.listSessions(), { message: "nothing is served at /v1/sessions", status: 404 });
});

test("an event comes once, whatever connections bring; what is left out is fetched", async (t) => {
  const { gateway, sessions } = await house(
    t,
    tells(event(1), event(2)),
    tells(event(1), event(2), event(3)),
    tells(event(4), event(6)),
    tells(event(5), event(6)),
    saysNothing,
  );

  const events = await all(sessions.stream("ses_1"));

  assert.deepEqual(numbers(events), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([events[0].data, events[0].sessionId], [{ messageId: "m" }, "ses_1"]);
  const asked = gateway.requests.map(({ path }) => new URL(path, gateway.url).searchParams.get("after"));
  assert.deepEqual(asked, ["0", "2", "3", "4", "6"]);
  assert.equal(gateway.requests[0].headers.accept, "text/event-stream");
});

test("an event that the log does not have either is an error, not a gap", async (t) => {
  const { sessions } = await house(t, tells(event(1), event(3)), tells(event(3)));
  const stream = sessions.stream("ses_1");
  assert.equal((await stream.next()).value.seq, 1);
  await assert.rejects(stream.next(), { code: "protocol_error" });
});

test("a gateway that is being started again is waited for, and so is a proxy before it", async (t) => {
  const told = [];
  const { sessions } = await house(
    t,
    tells(event(1)),
    hangsUp,
    says(502, { error: "bad gateway" }),
    says(503, { error: "shutting down", code: "shutting_down" }),
    tells(event(2), change(3, "active", "terminated")),
    saysNothing,
  );
  const events = await all(sessions.stream("ses_1", { onConnection: (connected) => told.push(connected) }));
  assert.deepEqual(numbers(events), [1, 2, 3]);
  assert.deepEqual(told, [true, false, true]);
});

test("whoever is gone for longer than one waits is unreachable", async (t) => {
  const { sessions } = await house(t, tells(event(1)), hangsUp);
  const stream = sessions.stream("ses_1", { reconnectS: 0.3 });
  await stream.next();
  await assert.rejects(stream.next(), { code: "unreachable" });
});

test("a gateway that says nothing at all is asked again", async (t) => {
  const silent = (_, response) => response.writeHead(200, { "content-type": "text/event-stream" }).write(event(1));
  const { gateway, sessions } = await house(t, silent, tells(event(2)), saysNothing);
  assert.deepEqual(numbers(await all(sessions.stream("ses_1", { timeout: 0.2 }))), [1, 2]);
  await gateway.requests[0].left;
});

test("a conversation is its message and what happens until its turn ends", async (t) => {
  const { gateway, sessions } = await house(
    t,
    says(202, { session: ROW, message_id: "msg_1", seq: 4, again: false }),
    tells(change(5, "idle", "active"), event(6), change(7, "active", "waiting_input"), change(8, "waiting_input", "active"), change(9, "active", "idle"), event(10)),
  );
  const events = await all(sessions.converse("ses_1", "hello", { resume: true, messageId: "msg_1" }));
  assert.deepEqual(numbers(events), [5, 6, 7, 8, 9]);
  assert.deepEqual(gateway.requests[0].body, { message: "hello", message_id: "msg_1", resume: true });
  assert.match(gateway.requests[1].path, /after=4/);
  await gateway.requests[1].left;
});

test("leaving the loop hangs up; a signal does so with its own reason", async (t) => {
  const open = (_, response) => response.writeHead(200, { "content-type": "text/event-stream" }).write(event(1));
  const { gateway, sessions } = await house(t, open);
  for await (const _ of sessions.stream("ses_1")) break;
  await gateway.requests[0].left;

  const controller = new AbortController();
  const stream = sessions.stream("ses_1", { signal: controller.signal });
  await stream.next();
  const next = stream.next();
  controller.abort(new Error("enough"));
  await assert.rejects(next, { message: "enough" });
  await gateway.requests[1].left;
});

test("what else can be asked, and how", async (t) => {
  const { gateway, sessions } = await house(t, (request, response) => {
    const answers = { "/v1/sessions/backends": { data: [{ name: "chat", default_model: "", max_sessions: 9 }] } };
    const lists = { data: [ROW], total: 1, has_more: false };
    const list = request.path.startsWith("/v1/sessions?");
    const page = { data: [], last_seq: 3, state: "idle", ended: false };
    const answer = answers[request.path] ?? (list ? lists : request.path.includes("/events") ? page : { ...ROW, by_backend: { chat: 1 } });
    says(200, answer)(request, response);
  });
  const asked = async (call) => {
    const answer = await call;
    const { method, path, body } = gateway.requests.at(-1);
    return [`${method} ${path}`, body, answer];
  };
  const one = "/v1/sessions/ses_1";
  assert.deepEqual((await asked(sessions.approve("ses_1", "a 1", { always: true }))).slice(0, 2), [`POST ${one}/approvals/a%201`, { decision: "allow", always: true }]);
  assert.deepEqual((await asked(sessions.deny("ses_1", "a1", "no"))).slice(0, 2), [`POST ${one}/approvals/a1`, { decision: "deny", message: "no" }]);
  assert.deepEqual((await asked(sessions.deny("ses_1", "a1")))[1], { decision: "deny" });
  assert.equal((await asked(sessions.interrupt("ses_1")))[0], `POST ${one}/interrupt`);
  assert.equal((await asked(sessions.suspend("ses_1")))[0], `POST ${one}/suspend`);
  const state = { version: 1, session_id: "ses_1", last_seq: 3 };
  assert.deepEqual((await asked(sessions.resume("ses_1", { state })))[1], { state });
  assert.equal((await asked(sessions.terminate("ses_1", "done with it")))[0], `DELETE ${one}?reason=done+with+it`);
  assert.deepEqual((await asked(sessions.forget("ses_1"))).slice(0, 1), [`DELETE ${one}?forget=true`]);
  assert.equal((await asked(sessions.summarize("ses_1")))[0], `POST ${one}/summarize`);
  assert.equal((await asked(sessions.clearContext("ses_1")))[0], `DELETE ${one}/context`);
  assert.equal((await asked(sessions.stats("ses_1")))[0], `GET ${one}/stats`);
  assert.deepEqual((await asked(sessions.cleanup(60)))[2].byBackend, { chat: 1 });
  assert.equal((await asked(sessions.exportSession("ses_1", "md")))[0], `GET ${one}/export?format=md`);
  assert.deepEqual((await asked(sessions.backends()))[2], [{ name: "chat", defaultModel: "", maxSessions: 9 }]);
  const [path, , listed] = await asked(sessions.listSessions({ state: ["idle", "active"], limit: 5 }));
  assert.equal(path, "GET /v1/sessions?state=idle%2Cactive&limit=5");
  assert.deepEqual([listed.total, listed.hasMore, listed.sessions[0].lastSeq], [1, false, 3]);
  const page = await asked(sessions.events("ses_1", { after: 1, limit: 2 }));
  assert.equal(page[0], `GET ${one}/events?after=1&limit=2&follow=false`);
  assert.deepEqual(page[2], { events: [], lastSeq: 3, state: "idle", ended: false });
});
