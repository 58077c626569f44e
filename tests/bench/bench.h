/* What upstream.c and loadgen.c agree on: the clock, the words of a reply, growing buffers, HTTP heads. */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The text of every unary reply. Nothing in it is escaped in JSON, so it must arrive as it is written here. */
#define REPLY_TEXT                                                                                      \
    "A fox keeps several dens and moves between them. It hunts alone, mostly at dusk, and hides what "  \
    "it cannot eat at once. In spring the whole family feeds the young, and by autumn they have left "  \
    "to look for a hill of their own."
#define REPLY_TOKENS 52

/* The text of a streamed chunk: which one it is (4 digits) and when it was sent (16 digits of microseconds).
 * The clock is CLOCK_MONOTONIC, which processes of one machine share: arrival minus sending is the true lag. */
#define TICK "tick#"
#define TICK_FORMAT TICK "%04d@%016lld "
#define TICK_SIZE (sizeof TICK - 1 + 4 + 1 + 16)

static inline int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

typedef struct {
    char *data;
    size_t size, room;
} Bytes;

/* Makes room for `more` bytes and returns where they go. */
static inline char *bytes_room(Bytes *b, size_t more) {
    if (b->size + more > b->room) {
        b->room = (b->size + more) * 2;
        b->data = realloc(b->data, b->room);
        if (!b->data) die("realloc");
    }
    return b->data + b->size;
}

static inline void bytes_add(Bytes *b, const void *data, size_t size) {
    if (!size) return;
    memcpy(bytes_room(b, size), data, size);
    b->size += size;
}

static inline void bytes_add_text(Bytes *b, const char *text) { bytes_add(b, text, strlen(text)); }

static inline void bytes_drop(Bytes *b, size_t size) {
    b->size -= size;
    memmove(b->data, b->data + size, b->size);
}

/* Non-blocking, and every write leaves at once: Nagle would add up to 40 ms to a chunk. */
static inline void prepare_socket(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static inline struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Bytes up to and including the empty line, or 0 while it has not come. */
static inline size_t head_size(const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

/* The value of a header within a complete head, or NULL. */
static inline const char *header(const char *head, size_t size, const char *name) {
    const char *end = head + size, *line = head;
    size_t length = strlen(name);
    while ((line = memchr(line, '\n', end - line)) && ++line < end) {
        if ((size_t)(end - line) <= length || line[length] != ':' || strncasecmp(line, name, length)) continue;
        for (line += length + 1; *line == ' '; line++) {}
        return line;
    }
    return NULL;
}

/* What follows `label` and any spaces or colons, or NULL. Enough JSON for bodies that we wrote ourselves. */
static inline const char *value_after(const char *text, size_t size, const char *label) {
    const char *found = memmem(text, size, label, strlen(label)), *end = text + size;
    if (!found) return NULL;
    for (found += strlen(label); found < end && (*found == ' ' || *found == ':'); found++) {}
    return found < end ? found : NULL;
}

static inline long number_after(const char *text, size_t size, const char *label) {
    const char *found = value_after(text, size, label);
    long number = 0;
    if (!found || *found < '0' || *found > '9') return -1;
    for (; found < text + size && *found >= '0' && *found <= '9'; found++) number = number * 10 + (*found - '0');
    return number;
}

#endif
