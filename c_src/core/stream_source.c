#include "stream_source.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "event.h"
#include "stream_state.h"

/* --- the connection ----------------------------------------------------- */

/* A generator of its own: rand() is the VM's, and jitter needs no quality. */
static uint32_t next_random(struct stream_source* source)
{
    source->random = source->random * 1664525u + 1013904223u;
    return source->random >> 8;
}

/* The stream is of no use any more: say so, and try again later. */
static void go_down(struct stream_source* source)
{
    int64_t now_ms = clock_now_ms();
    int64_t good_ms = source->live_ms ? now_ms - source->live_ms : 0;

    http_stream_drop(source->http);
    line_reader_reset(&source->lines);
    source->live_ms = 0;
    source->init_due_ms = 0;
    source->probe_due_ms = 0;
    source->probing = false;
    source->named = false;
    source->connect_ms =
        now_ms + backoff_next(&source->backoff, good_ms, next_random(source));
    stream_post_down(source);
}

static void connect_now(struct stream_source* source)
{
    source->connect_ms = 0;
    atomic_fetch_add(&source->attempts, 1);
    if (http_stream_connect(source->http) < 0)
        go_down(source);
}

static void probe_now(struct stream_source* source)
{
    source->probe_due_ms = 0;
    if (source->probing)
        return;
    source->probing = true;
    source->probe_wanted = false;
    if (http_stream_probe(source->http) < 0)
        go_down(source);
}

static bool on_opened(void* ctx, const char* litefs_id)
{
    struct stream_source* source = ctx;

    memcpy(source->litefs_id, litefs_id, sizeof(source->litefs_id));
    source->init_due_ms = clock_now_ms() + STREAM_INIT_TIMEOUT_MS;
    return true;
}

static bool on_bytes(void* ctx, const char* bytes, size_t size)
{
    struct stream_source* source = ctx;
    bool go_on = line_reader_feed(&source->lines, bytes, size);

    atomic_store(&source->too_long, source->lines.dropped);
    return go_on;
}

static void on_closed(void* ctx, enum http_closed reason)
{
    (void)reason; /* whatever it was, the remedy is the same */
    go_down(ctx);
}

static void on_probed(void* ctx, bool alive, const char* body, size_t size)
{
    struct stream_source* source = ctx;
    struct role_input input = {.type = INPUT_OWN_HOSTNAME};

    if (!alive) {
        go_down(source);
        return;
    }
    source->probing = false;
    stream_sign_of_life(source);
    if (event_parse_info(body, size, input.own_hostname)) {
        source->named = true;
        stream_post(source, &input);
    }
}

/* --- the thread --------------------------------------------------------- */

static bool due(int64_t at_ms, int64_t now_ms)
{
    return at_ms != 0 && now_ms >= at_ms;
}

static void do_what_is_due(struct stream_source* source)
{
    int64_t now_ms = clock_now_ms();

    if (due(source->init_due_ms, now_ms))
        go_down(source);
    if (due(source->connect_ms, now_ms))
        connect_now(source);
    if (due(source->probe_due_ms, now_ms))
        probe_now(source);
    if (due(status_cell_deadline(source->cell), now_ms))
        stream_post(source, &(struct role_input){.type = INPUT_TICK});
}

/* http_stream_wait() has times of its own beside these. */
static int64_t wait_ms(const struct stream_source* source)
{
    const int64_t times[] = {source->init_due_ms, source->connect_ms,
                             source->probe_due_ms};
    int64_t until_ms = INT64_MAX;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        if (times[i] != 0 && times[i] < until_ms)
            until_ms = times[i];
    }
    return status_cell_sleep(source->cell, until_ms) - clock_now_ms();
}

static void* run(void* ctx)
{
    struct stream_source* source = ctx;

    while (!atomic_load(&source->stopping)) {
        do_what_is_due(source);
        http_stream_wait(source->http, wait_ms(source));
    }
    http_stream_drop(source->http);
    return NULL;
}

/* Signals are the VM's business: none is delivered to our thread. */
static int start_thread(struct stream_source* source)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&source->thread, NULL, run, source);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!err)
        pthread_setname_np(source->thread, "litefs_events");
    return -err;
}

/* --- open and close ----------------------------------------------------- */

static int open_http(struct stream_source* source, const char* url)
{
    const struct http_stream_config config = {
        .url = url,
        .connect_timeout_ms = STREAM_CONNECT_TIMEOUT_MS,
        .headers_timeout_ms = STREAM_HEADERS_TIMEOUT_MS,
        .probe_timeout_ms = STREAM_PROBE_TIMEOUT_MS,
        .opened = on_opened,
        .bytes = on_bytes,
        .closed = on_closed,
        .probed = on_probed,
        .ctx = source,
    };

    return http_stream_open(&config, &source->http);
}

/* From any thread: a deadline has come nearer. */
static void wake(void* ctx)
{
    const struct stream_source* source = ctx;

    http_stream_wake(source->http);
}

int stream_source_open(const char* url, struct status_cell* cell,
                       stream_hint_fn hint, void* hint_ctx,
                       struct stream_source** result)
{
    struct stream_source* source = calloc(1, sizeof(*source));
    if (!source)
        return -ENOMEM;
    int rc = open_http(source, url);
    if (rc < 0)
        goto source;
    source->hint = hint;
    source->hint_ctx = hint_ctx;
    source->cell = status_cell_ref(cell);
    status_cell_keep(cell, wake, source);
    source->connect_ms = clock_now_ms();
    source->random = (uint32_t)source->connect_ms ^ (uint32_t)(uintptr_t)source;
    line_reader_init(&source->lines, STREAM_LINE_MAX, stream_on_line, source);
    backoff_init(&source->backoff);
    rc = start_thread(source);
    if (rc < 0)
        goto cell;
    *result = source;
    return 0;

cell:
    status_cell_keep(cell, NULL, NULL);
    status_cell_unref(cell);
    http_stream_close(source->http);
source:
    free(source);
    return rc;
}

void stream_source_close(struct stream_source* source)
{
    atomic_store(&source->stopping, true);
    http_stream_wake(source->http);
    pthread_join(source->thread, NULL);
    status_cell_keep(source->cell, NULL, NULL);
    http_stream_close(source->http);
    line_reader_reset(&source->lines);
    status_cell_unref(source->cell);
    free(source);
}

void stream_source_counters(struct stream_source* source,
                            struct stream_counters* counters)
{
    counters->attempts = atomic_load(&source->attempts);
    counters->malformed = atomic_load(&source->malformed);
    counters->too_long = atomic_load(&source->too_long);
}
