/* A provider that answers at once: OpenAI chat completions and Anthropic messages, unary and streamed.
 *
 *     upstream            listens on a free port of 127.0.0.1, prints the port, serves until it is ended
 *
 * A marker in the prompt, "[bench chunks=50 gap_ms=20]", sets a stream's length and pace, so that it survives a
 * translation. Without a gap, BURST chunks go into each write; with one, every chunk is a write of its own.
 *     GET /ready          200
 *     GET /served         {"openai": replies begun, "anthropic": replies begun}
 * One thread, epoll, keep-alive. Not a validator: it reads just enough of a request to answer it.
 */
#define _GNU_SOURCE
#include "bench.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

#define BURST 8 /* a fast model's tokens reach a socket several at a time; 1 would measure our own writes */
#define EVENTS 256
#define READ_SIZE 16384
#define PROMPT_TOKENS 20

typedef struct {
    const char *path, *reply, *opening, *chunk_head, *chunk_tail, *closing, *closing_without_usage;
    Bytes unary; /* the whole HTTP reply, made once */
    long served;
} Wire;

/* Shapes: https://platform.openai.com/docs/api-reference/chat (streaming: .../chat/streaming). */
#define OPENAI_CHUNK                                                                       \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","               \
    "\"created\":1763600000,\"model\":\"bench-model\",\"system_fingerprint\":\"fp_bench\"," \
    "\"choices\":"
#define OPENAI_FINISH \
    OPENAI_CHUNK "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"

/* Shapes: https://docs.anthropic.com/en/api/messages (streaming: .../en/docs/build-with-claude/streaming). */
#define ANTHROPIC_EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"

/* In the texts below %1$d is the number of chunks sent and %2$d that plus the prompt's tokens. */
static Wire wires[] = {
    {.path = "/v1/chat/completions",
     .reply = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1763600000,"
              "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
              "\"content\":\"" REPLY_TEXT "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
              "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":%1$d,\"total_tokens\":%2$d}}",
     .opening = OPENAI_CHUNK "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                             "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
     .chunk_head = OPENAI_CHUNK "[{\"index\":0,\"delta\":{\"content\":\"",
     .chunk_tail = "\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
     .closing = OPENAI_FINISH OPENAI_CHUNK "[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":%1$d,"
                                           "\"total_tokens\":%2$d}}\n\ndata: [DONE]\n\n",
     .closing_without_usage = OPENAI_FINISH "data: [DONE]\n\n"},
    {.path = "/v1/messages",
     .reply = "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-bench\","
              "\"content\":[{\"type\":\"text\",\"text\":\"" REPLY_TEXT "\"}],\"stop_reason\":\"end_turn\","
              "\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,\"output_tokens\":%1$d}}",
     .opening = ANTHROPIC_EVENT("message_start",
                                ",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\","
                                "\"model\":\"claude-bench\",\"content\":[],\"stop_reason\":null,"
                                "\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}")
                ANTHROPIC_EVENT("content_block_start",
                                ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                ANTHROPIC_EVENT("ping", ""),
     .chunk_head = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                   "\"delta\":{\"type\":\"text_delta\",\"text\":\"",
     .chunk_tail = "\"}}\n\n",
     .closing = ANTHROPIC_EVENT("content_block_stop", ",\"index\":0")
                ANTHROPIC_EVENT("message_delta",
                                ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
                                "\"usage\":{\"output_tokens\":%1$d}")
                ANTHROPIC_EVENT("message_stop", "")},
};
#define WIRES (sizeof wires / sizeof *wires)

typedef struct Conn Conn;
struct Conn {
    int fd;
    bool waits_for_room; /* EPOLLOUT is on: the peer reads slower than we write */
    Bytes in, out;
    Wire *wire; /* of the stream being sent; NULL between requests */
    bool wants_usage;
    int chunks, sent;
    int64_t gap_us, due_us;
    bool queued;
    Conn *before, *after; /* neighbours in the due queue */
};

static int poller, timer;
static Conn due; /* a ring: due.after is the stream whose next write comes first */
static int64_t armed_us;
static Bytes frames; /* scratch: the events of one write */

static void unqueue(Conn *c) {
    if (!c->queued) return;
    c->before->after = c->after;
    c->after->before = c->before;
    c->queued = false;
}

/* Sorted from the back: gaps are mostly equal, so a new one is mostly the latest. */
static void queue(Conn *c) {
    Conn *before = due.before;
    while (before != &due && before->due_us > c->due_us) before = before->before;
    c->before = before;
    c->after = before->after;
    before->after->before = c;
    before->after = c;
    c->queued = true;
}

static void drop(Conn *c) {
    unqueue(c);
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void watch_for_room(Conn *c, bool wanted) {
    if (c->waits_for_room == wanted) return;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->waits_for_room = wanted;
}

/* Writes what waits. A peer that is gone is noticed by the next read. */
static void flush(Conn *c) {
    ssize_t written = send(c->fd, c->out.data, c->out.size, MSG_NOSIGNAL);
    if (written < 0 && errno != EAGAIN) c->out.size = 0;
    if (written > 0) bytes_drop(&c->out, written);
    watch_for_room(c, c->out.size > 0);
}

static void answer(Conn *c, const char *status, const char *body) {
    char head[160];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
             strlen(body));
    bytes_add_text(&c->out, head);
    bytes_add_text(&c->out, body);
    flush(c);
}

/* Everything in `frames` as one chunk of the HTTP body. */
static void add_frames(Conn *c) {
    char size[16];
    bytes_add(&c->out, size, snprintf(size, sizeof size, "%zx\r\n", frames.size));
    bytes_add(&c->out, frames.data, frames.size);
    bytes_add(&c->out, "\r\n", 2);
    frames.size = 0;
}

static void add_closing(Conn *c) {
    const Wire *wire = c->wire;
    bool bare = !c->wants_usage && wire->closing_without_usage;
    char text[2048];
    bytes_add(&frames, text,
              snprintf(text, sizeof text, bare ? wire->closing_without_usage : wire->closing, c->chunks,
                       c->chunks + PROMPT_TOKENS));
    add_frames(c);
    bytes_add(&c->out, "0\r\n\r\n", 5);
}

static void add_chunk(Conn *c) {
    char tick[TICK_SIZE + 8];
    bytes_add_text(&frames, c->wire->chunk_head);
    bytes_add(&frames, tick, snprintf(tick, sizeof tick, TICK_FORMAT, c->sent++, (long long)now_us()));
    bytes_add_text(&frames, c->wire->chunk_tail);
}

/* One write of a stream: the next chunks, or the end one gap after the last of them. */
static void advance(Conn *c) {
    if (c->sent == c->chunks) {
        add_closing(c);
        c->wire = NULL;
        flush(c);
        return;
    }
    if (c->sent == 0) bytes_add_text(&frames, c->wire->opening);
    for (int burst = c->gap_us ? 1 : BURST; burst && c->sent < c->chunks; burst--) add_chunk(c);
    add_frames(c);
    flush(c);
    c->due_us = c->gap_us ? c->due_us + c->gap_us : now_us();
    /* A stream without gaps goes on when its peer has taken what was written. */
    if (c->gap_us || !c->waits_for_room) queue(c);
}

static void begin_stream(Conn *c, Wire *wire, const char *body, size_t size) {
    const char *usage = value_after(body, size, "\"include_usage\"");
    long chunks = number_after(body, size, "chunks="), gap_ms = number_after(body, size, "gap_ms=");
    c->wire = wire;
    c->wants_usage = usage && *usage == 't';
    c->chunks = chunks > 0 && chunks < 10000 ? chunks : 16;
    c->gap_us = gap_ms > 0 ? gap_ms * 1000 : 0;
    c->sent = 0;
    c->due_us = now_us();
    bytes_add_text(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n");
    advance(c);
}

static bool asks_for(const char *head, const char *request) {
    size_t length = strlen(request);
    return !strncmp(head, request, length) && (head[length] == ' ' || head[length] == '?');
}

static void respond(Conn *c, const char *head, const char *body, size_t size) {
    char text[128];
    for (Wire *wire = wires; wire < wires + WIRES; wire++) {
        if (strncmp(head, "POST ", 5) || !asks_for(head + 5, wire->path)) continue;
        const char *stream = value_after(body, size, "\"stream\"");
        wire->served++;
        if (stream && *stream == 't') {
            begin_stream(c, wire, body, size);
        } else {
            bytes_add(&c->out, wire->unary.data, wire->unary.size);
            flush(c);
        }
        return;
    }
    snprintf(text, sizeof text, "{\"openai\":%ld,\"anthropic\":%ld}", wires[0].served, wires[1].served);
    if (asks_for(head, "GET /served")) answer(c, "200 OK", text);
    else if (asks_for(head, "GET /ready")) answer(c, "200 OK", "{}");
    else answer(c, "404 Not Found", "{\"error\":{\"message\":\"the bench upstream has no such path\"}}");
}

/* Answers one request if it has come whole; false if more bytes are needed. */
static bool take_request(Conn *c) {
    size_t head = head_size(c->in.data, c->in.size);
    if (!head) return false;
    if (header(c->in.data, head, "transfer-encoding")) {
        answer(c, "411 Length Required", "{\"error\":{\"message\":\"the bench upstream wants content-length\"}}");
        c->in.size = 0;
        return false;
    }
    const char *length = header(c->in.data, head, "content-length");
    size_t body = length ? strtoul(length, NULL, 10) : 0;
    if (c->in.size < head + body) return false;
    respond(c, c->in.data, c->in.data + head, body);
    bytes_drop(&c->in, head + body);
    return true;
}

static bool receive(Conn *c) {
    ssize_t size = recv(c->fd, bytes_room(&c->in, READ_SIZE), READ_SIZE, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN)) return false;
    if (size > 0) c->in.size += size;
    return true;
}

static void on_event(Conn *c, uint32_t events) {
    if ((events & ~EPOLLOUT) && !receive(c)) {
        drop(c);
        return;
    }
    if (events & EPOLLOUT) flush(c);
    if (c->wire && !c->gap_us && !c->queued && !c->waits_for_room) queue(c);
    while (!c->wire && take_request(c)) {}
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        Conn *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        prepare_socket(c->fd = fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Writes for every stream whose time has come, once each, so that those without gaps take turns. */
static void advance_due(void) {
    int64_t now = now_us();
    Conn *last = due.before;
    while (due.after != &due && due.after->due_us <= now) {
        Conn *c = due.after;
        unqueue(c);
        advance(c);
        while (!c->wire && take_request(c)) {}
        if (c == last) break;
    }
}

/* How long to sleep, in epoll's words: not at all, or until an event or the timer (which knows microseconds). */
static int patience(void) {
    int64_t next = due.after == &due ? 0 : due.after->due_us;
    if (next && next <= now_us()) return 0;
    if (next != armed_us) {
        struct itimerspec at = {.it_value = {next / 1000000, next % 1000000 * 1000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        armed_us = next;
    }
    return -1;
}

static void make_unary(Wire *wire) {
    char body[2048], head[160];
    int size = snprintf(body, sizeof body, wire->reply, REPLY_TOKENS, REPLY_TOKENS + PROMPT_TOKENS);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size);
    bytes_add_text(&wire->unary, head);
    bytes_add(&wire->unary, body, size);
}

static int open_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) die("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    prepare_socket(fd);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlive the benchmark */
    due.before = due.after = &due;
    for (size_t i = 0; i < WIRES; i++) make_unary(&wires[i]);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = open_listener();
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = &timer};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, patience());
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener) accept_all(listener);
            else if (events[i].data.ptr != &timer) on_event(events[i].data.ptr, events[i].events);
        }
        advance_due();
    }
}
