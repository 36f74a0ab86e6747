/* Between stream_source.c, which has the thread and the connection, and
 * stream_events.c, which has what LiteFS says. Nobody else includes this. */
#ifndef ECTO_LITEFS_STREAM_STATE_H
#define ECTO_LITEFS_STREAM_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backoff.h"
#include "http_stream.h"
#include "line_reader.h"
#include "stream_source.h"

struct stream_source {
    struct status_cell* cell;
    stream_hint_fn hint;
    void* hint_ctx;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint_fast64_t attempts;
    atomic_uint_fast64_t malformed;
    atomic_uint_fast64_t too_long;

    /* From here on the thread's own. Times are 0 where nothing is due. */
    struct http_stream* http;
    struct line_reader lines;
    struct backoff backoff;
    uint32_t random;
    char litefs_id[17];
    bool posted_down;     /* the cell knows that the stream is down */
    int64_t live_ms;      /* when the init line came */
    int64_t connect_ms;   /* next attempt */
    int64_t init_due_ms;  /* the init line must have come */
    int64_t probe_due_ms; /* next GET of /info */
    bool probing;         /* one is under way */
    bool probe_wanted;    /* one that begins after what was said last */
    bool named;           /* /info has told this node's own hostname */
};

/* To the cell, and the hint where the step asks for one. */
void stream_post(struct stream_source* source, const struct role_input* input);
/* The stream is down: once for each time that it went down. */
void stream_post_down(struct stream_source* source);

/* A line_fn: false where this is no LiteFS. */
bool stream_on_line(void* ctx, const char* line, size_t size);

/* LiteFS has said something: no GET of /info is due for a while, unless one
 * is wanted for what only its answer tells. */
void stream_sign_of_life(struct stream_source* source);

#endif
