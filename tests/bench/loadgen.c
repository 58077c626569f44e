/* Asks over keep-alive connections, each anew when its reply is complete, and checks every reply.
 *
 *     loadgen -p PORT -P PATH -b BODY_FILE -c CONNECTIONS -w WARM_MS -d WINDOW_MS [-r RAMP_MS] [-n CHUNKS] [-t]
 *
 * -n  the reply is a stream of so many chunks        -t  note when each chunk came (for paced streams)
 * -r  the connections begin spread over this time
 * Prints "open" and "close" around the measured window, so that others can look at their clocks too, then one line
 * of JSON. Latencies are in milliseconds. `served` counts complete and correct replies of the whole run, `asked` all
 * requests sent. After the window no request begins, and those under way get GRACE_US.
 * One thread, epoll.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "samples.h"
#include <sys/prctl.h>

#define EVENTS 256
#define READ_SIZE 65536
#define GRACE_US 6000000  /* a paced stream lasts a second; a gateway several times slower is still heard out */
#define MAX_ERRORS 100    /* then the figure means nothing, and the run ends */
#define TICK_POLL_MS 2    /* how precisely the window opens and closes */

enum fault { CONNECT, CUT, STATUS, CONTENT, UNFINISHED, FAULTS };
static const char *fault_names[] = {"connect", "cut", "status", "content", "unfinished"};

enum place { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LAST_LINE, UNTIL_CLOSE };

typedef struct {
    int fd; /* -1: not connected */
    bool connecting, busy;
    int64_t asked_us, last_tick_us;
    enum place place; /* where in the reply the next byte belongs */
    long left;        /* bytes of the body, or of the HTTP chunk */
    int status, ticks;
    bool keeps, done, disordered;
    long tokens;
    Bytes head, text; /* text: a unary body, or a line of a stream that has not ended yet */
} Conn;

static struct {
    int port, connections, chunks;
    int64_t warm_us, window_us, ramp_us;
    bool timed;
    const char *path, *body_file;
} options = {.path = "/", .connections = 1};

static Bytes request;
static int poller;
static bool recording, closing;
static long asked, served, replies, chunks, faults[FAULTS];
static char first_error[400];
static Samples latency, first_chunk, gap, lag;
static char input[READ_SIZE];

static void on_fault(enum fault fault, const char *text, size_t size) {
    if (!first_error[0])
        snprintf(first_error, sizeof first_error, "%s: %.*s", fault_names[fault], (int)(size < 300 ? size : 300), text);
    faults[fault]++;
}

static long total_faults(void) {
    long total = 0;
    for (int i = 0; i < FAULTS; i++) total += faults[i];
    return total;
}

static void disconnect(Conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->busy = c->connecting = false;
}

static void ask(Conn *c);

static void fail(Conn *c, enum fault fault, const char *text, size_t size) {
    on_fault(fault, text, size);
    disconnect(c);
    if (!closing && total_faults() < MAX_ERRORS) ask(c);
}

static void open_connection(Conn *c) {
    struct sockaddr_in address = loopback(options.port);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("socket");
    prepare_socket(c->fd);
    c->connecting = true;
    connect(c->fd, (struct sockaddr *)&address, sizeof address); /* the poller reports how it went */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask(Conn *c) {
    if (c->fd < 0) {
        open_connection(c);
        return;
    }
    c->busy = true;
    c->place = HEAD;
    c->ticks = 0;
    c->tokens = -1;
    c->done = c->disordered = false;
    c->head.size = c->text.size = 0;
    c->asked_us = c->last_tick_us = now_us();
    asked++;
    /* A small request always fits into the buffer of an idle socket. */
    if (send(c->fd, request.data, request.size, MSG_NOSIGNAL) != (ssize_t)request.size)
        fail(c, CUT, "request not taken", 17);
}

static void on_connected(Conn *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(c, CONNECT, strerror(error), strlen(strerror(error)));
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->connecting = false;
    ask(c);
}

static bool is_correct(const Conn *c) {
    if (options.chunks)
        return c->done && !c->disordered && c->ticks == options.chunks && c->tokens == options.chunks;
    return memmem(c->text.data, c->text.size, REPLY_TEXT, sizeof REPLY_TEXT - 1) &&
           (number_after(c->text.data, c->text.size, "\"completion_tokens\"") == REPLY_TOKENS);
}

static void on_reply(Conn *c, int64_t now) {
    char text[120];
    if (c->status != 200) {
        int size = snprintf(text, sizeof text, "%d %.*s", c->status, (int)(c->text.size < 100 ? c->text.size : 100),
                            c->text.data ? c->text.data : "");
        fail(c, STATUS, text, size < 119 ? size : 119);
        return;
    }
    if (!is_correct(c)) {
        int size = options.chunks
                       ? snprintf(text, sizeof text, "%d chunks%s, %ld tokens, %s", c->ticks,
                                  c->disordered ? " in disorder" : "", c->tokens, c->done ? "done" : "no [DONE]")
                       : snprintf(text, sizeof text, "not the text that was sent (%zu bytes)", c->text.size);
        fail(c, CONTENT, text, size);
        return;
    }
    served++;
    if (recording) {
        replies++;
        samples_add(&latency, now - c->asked_us);
    }
    c->busy = false;
    if (!c->keeps) disconnect(c);
    if (!closing) ask(c);
}

static void on_tick(Conn *c, const char *tick, int64_t now) {
    int64_t sent_us = strtoll(tick + TICK_SIZE - 16, NULL, 10);
    if (strtol(tick + sizeof TICK - 1, NULL, 10) != c->ticks || c->done) c->disordered = true;
    if (recording) {
        chunks++;
        if (c->ticks == 0) samples_add(&first_chunk, now - c->asked_us);
        else if (options.timed) samples_add(&gap, now - c->last_tick_us);
        if (options.timed) samples_add(&lag, now - sent_us);
    }
    c->last_tick_us = now;
    c->ticks++;
}

/* One line of a server-sent event stream. A gateway may put several chunks' texts into one event. */
static void on_line(Conn *c, const char *line, size_t size, int64_t now) {
    const char *end = line + size, *tick = line;
    bool ticked = false;
    if (size < 5 || memcmp(line, "data:", 5)) return;
    while ((tick = memmem(tick, end - tick, TICK, sizeof TICK - 1)) && end - tick >= (long)TICK_SIZE) {
        on_tick(c, tick, now);
        tick += TICK_SIZE;
        ticked = true;
    }
    if (ticked) return;
    long tokens = number_after(line, size, "\"completion_tokens\"");
    if (tokens >= 0) c->tokens = tokens;
    if (memmem(line, size, "[DONE]", 6)) c->done = true;
}

static void on_body(Conn *c, const char *data, size_t size, int64_t now) {
    const char *end = data + size, *newline;
    if (!options.chunks || c->status != 200) {
        bytes_add(&c->text, data, size);
        return;
    }
    for (; (newline = memchr(data, '\n', end - data)); data = newline + 1) {
        if (c->text.size) {
            bytes_add(&c->text, data, newline - data);
            on_line(c, c->text.data, c->text.size, now);
            c->text.size = 0;
        } else {
            on_line(c, data, newline - data, now);
        }
    }
    bytes_add(&c->text, data, end - data);
}

/* Takes the head from the beginning of `data`; returns how many bytes of it belonged to the head. */
static size_t read_head(Conn *c, const char *data, size_t size) {
    size_t before = c->head.size, length;
    const char *value;
    bytes_add(&c->head, data, size);
    if (!(length = head_size(c->head.data, c->head.size))) return size;
    c->status = length > 12 ? atoi(c->head.data + 9) : 0;
    value = header(c->head.data, length, "connection");
    c->keeps = !value || strncasecmp(value, "close", 5);
    if ((value = header(c->head.data, length, "content-length"))) {
        c->place = LENGTH;
        c->left = strtol(value, NULL, 10);
    } else if (header(c->head.data, length, "transfer-encoding")) {
        c->place = CHUNK_SIZE;
        c->left = 0;
    } else {
        c->place = UNTIL_CLOSE;
        c->keeps = false;
    }
    return length - before;
}

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    digit |= 32;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* One byte of HTTP's chunk framing; true when it was the last of the reply. `left` counts a line's bytes at the end. */
static bool read_framing(Conn *c, char byte) {
    if (c->place == CHUNK_SIZE && byte != '\n') {
        if (hex(byte) >= 0) c->left = c->left * 16 + hex(byte);
    } else if (c->place == CHUNK_SIZE) {
        c->place = c->left ? CHUNK_DATA : LAST_LINE;
    } else if (c->place == CHUNK_END && byte == '\n') {
        c->place = CHUNK_SIZE;
        c->left = 0;
    } else if (c->place == LAST_LINE && byte == '\n') {
        if (c->left == 0) return true;
        c->left = 0;
    } else if (c->place == LAST_LINE && byte != '\r') {
        c->left++;
    }
    return false;
}

/* Reads what came; true when the reply is complete. */
static bool feed(Conn *c, const char *data, size_t size, int64_t now) {
    while (size) {
        size_t taken = 1;
        if (c->place == HEAD) {
            taken = read_head(c, data, size);
        } else if (c->place == LENGTH || c->place == CHUNK_DATA || c->place == UNTIL_CLOSE) {
            taken = c->place == UNTIL_CLOSE || size < (size_t)c->left ? size : (size_t)c->left;
            on_body(c, data, taken, now);
            c->left -= taken;
            if (c->place == CHUNK_DATA && !c->left) c->place = CHUNK_END;
        } else if (read_framing(c, *data)) {
            return true;
        }
        data += taken;
        size -= taken;
        if (c->place == LENGTH && !c->left) return true;
    }
    return false;
}

static void on_readable(Conn *c) {
    ssize_t size = recv(c->fd, input, READ_SIZE, 0);
    int64_t now = now_us();
    if (size < 0 && errno == EAGAIN) return;
    if (size > 0 && c->busy) {
        if (feed(c, input, size, now)) on_reply(c, now);
    } else if (c->busy && size == 0 && c->place == UNTIL_CLOSE) {
        on_reply(c, now);
    } else if (c->busy) {
        fail(c, CUT, "the connection ended within a reply", 35);
    } else {
        disconnect(c); /* idle connections may be closed */
    }
}

static void run_events(int timeout_ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        Conn *c = events[i].data.ptr;
        if (c->connecting) on_connected(c);
        else if (c->fd >= 0) on_readable(c);
    }
}

static int count_busy(const Conn *conns) {
    int busy = 0;
    for (int i = 0; i < options.connections; i++) busy += conns[i].busy;
    return busy;
}

/* Warm-up, window, grace. Returns the window's true length in seconds. */
static double run(Conn *conns) {
    int64_t begin = now_us(), opened = 0, now = begin;
    int started = 0;
    while (now < begin + options.warm_us + options.window_us && total_faults() < MAX_ERRORS) {
        while (started < options.connections &&
               now >= begin + options.ramp_us * started / options.connections)
            ask(&conns[started++]);
        run_events(TICK_POLL_MS);
        now = now_us();
        if (!opened && now >= begin + options.warm_us) {
            recording = true;
            opened = now;
            puts("open");
        }
    }
    recording = false;
    closing = true;
    puts("close");
    for (int64_t end = now + GRACE_US; count_busy(conns) && now_us() < end && total_faults() < MAX_ERRORS;)
        run_events(TICK_POLL_MS);
    for (int busy = count_busy(conns); busy; busy--) on_fault(UNFINISHED, "no end of the reply", 19);
    return opened ? (now - opened) / 1e6 : 0;
}

static void report(double window_s) {
    double per_s = window_s > 0 ? 1 / window_s : 0;
    printf("{\"window_s\":%.4f,\"asked\":%ld,\"served\":%ld,\"replies\":%ld,\"chunks\":%ld,", window_s, asked, served,
           replies, chunks);
    printf("\"rps\":%.1f,\"chunks_per_s\":%.1f,", replies * per_s, chunks * per_s);
    samples_print("latency", &latency);
    samples_print("first_chunk", &first_chunk);
    samples_print("gap", &gap);
    samples_print("lag", &lag);
    for (int i = 0; i < FAULTS; i++) printf("\"%s\":%ld,", fault_names[i], faults[i]);
    for (char *p = first_error; *p; p++) /* enough for JSON: what was quoted or not printable is not needed */
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32 || (unsigned char)*p > 126) *p = '\'';
    printf("\"first_error\":\"%s\"}\n", first_error);
}

static void make_request(void) {
    static char body[65536], head[512];
    FILE *file = fopen(options.body_file, "rb");
    if (!file) die(options.body_file);
    size_t size = fread(body, 1, sizeof body, file);
    fclose(file);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
             "Authorization: Bearer bench\r\nContent-Length: %zu\r\n\r\n",
             options.path, options.port, size);
    bytes_add_text(&request, head);
    bytes_add(&request, body, size);
}

static void read_options(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "p:P:b:c:w:d:r:n:t")) != -1;) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 'b': options.body_file = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'w': options.warm_us = atol(optarg) * 1000; break;
        case 'd': options.window_us = atol(optarg) * 1000; break;
        case 'r': options.ramp_us = atol(optarg) * 1000; break;
        case 'n': options.chunks = atoi(optarg); break;
        case 't': options.timed = true; break;
        default: exit(2);
        }
    }
    if (!options.port || !options.body_file) {
        fputs("loadgen: -p PORT and -b BODY_FILE are needed\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, 9); /* never outlive the benchmark */
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_options(argc, argv);
    make_request();
    poller = epoll_create1(0);
    Conn *conns = calloc(options.connections, sizeof *conns);
    for (int i = 0; i < options.connections; i++) conns[i].fd = -1;
    report(run(conns));
    return 0;
}
