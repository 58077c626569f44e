/* Durations as they came, and their percentiles in the end. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "bench.h"

typedef struct {
    uint32_t *us;
    size_t count, room;
} Samples;

static inline void samples_add(Samples *s, int64_t us) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        s->us = realloc(s->us, s->room * sizeof *s->us);
        if (!s->us) die("realloc");
    }
    s->us[s->count++] = us > 0 ? us : 0;
}

static int compare_us(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The smallest sample that `percent` of them do not exceed. Wants them sorted. */
static inline double percentile_ms(const Samples *s, int percent) {
    size_t rank = (s->count * percent + 99) / 100;
    return s->us[rank ? rank - 1 : 0] / 1e3;
}

/* Members of a JSON object, with a comma behind: nulls when there was nothing to measure. */
static inline void samples_print(const char *name, Samples *s) {
    if (!s->count) {
        printf("\"%s_p50\":null,\"%s_p99\":null,", name, name);
        return;
    }
    qsort(s->us, s->count, sizeof *s->us, compare_us);
    printf("\"%s_p50\":%.4f,\"%s_p99\":%.4f,", name, percentile_ms(s, 50), name, percentile_ms(s, 99));
}

#endif
