/*
 * The first source: LiteFS's event stream, one thread per detector.
 *
 * GET /events over HTTP/1.1 with libcurl, lines to event_parse(), inputs to
 * the cell. The stream has no heartbeat, so when it has said nothing for
 * STREAM_PROBE_MS, GET /info on a second connection is the sign of life; one
 * that is not answered within STREAM_PROBE_TIMEOUT_MS counts as
 * INPUT_STREAM_DOWN and the connection is dropped. It is asked at once when
 * this node becomes primary, too, until it has told the node's own hostname,
 * which nothing else does; without one it is a sign of life all the same.
 * Anything but 200 with an init line is "down" too. Reconnects back off from 50
 * ms to 1 s with jitter; a body that ended properly means that we fell 1,024
 * events behind and reconnects at once, but through the same backoff, so that a
 * server that always ends at once makes no busy loop. Redirects are not
 * followed. A malformed line, and one longer than 1 MiB, is dropped and
 * counted, and the stream goes on with the next line.
 *
 * INPUT_STREAM_OPENED is posted with the init line and not before: another
 * program's 200 must not look like LiteFS. INPUT_STREAM_DOWN is posted once
 * for each time that the stream goes down, not for every failed attempt.
 */
#ifndef ECTO_LITEFS_STREAM_SOURCE_H
#define ECTO_LITEFS_STREAM_SOURCE_H

#include "status_cell.h"

enum {
    STREAM_CONNECT_TIMEOUT_MS = 1000,
    STREAM_HEADERS_TIMEOUT_MS = 2000, /* LiteFS listens before it serves */
    STREAM_INIT_TIMEOUT_MS = 2000,    /* from the headers to the init line */
    STREAM_PROBE_MS = 15000,
    STREAM_PROBE_TIMEOUT_MS = 2000,
    STREAM_LINE_MAX = 1 << 20,
};

struct stream_source;

/* Called from the stream thread when the mount should be looked at again
 * (a step asked for it, as every down does). Must not block; may be NULL. */
typedef void (*stream_hint_fn)(void* ctx);

/*
 * Start the thread. `url` is copied; the /info URL is the same with its last
 * path segment replaced. Takes its own reference to the cell. 0, -ENOMEM,
 * -EAGAIN (no thread) or -EINVAL (curl does not accept the URL).
 */
int stream_source_open(const char* url, struct status_cell* cell,
                       stream_hint_fn hint, void* hint_ctx,
                       struct stream_source** source);

/* Ask the thread to end and wait for it: it never blocks longer than one
 * curl_multi_poll wake-up, so this returns within milliseconds. `hint` is
 * not called any more after it returns. */
void stream_source_close(struct stream_source* source);

/* What was seen since the source was opened; from any thread. */
struct stream_counters {
    uint64_t attempts;  /* GETs of /events that were begun */
    uint64_t malformed; /* lines that were no valid event */
    uint64_t too_long;  /* lines above STREAM_LINE_MAX */
};
void stream_source_counters(struct stream_source* source,
                            struct stream_counters* counters);

#endif
