/*
 * One GET that never ends and, beside it, short GETs that ask whether the
 * server still answers. Hides libcurl.
 *
 * One thread owns an http_stream and calls http_stream_wait() in a loop; the
 * hooks are called from there and nowhere else. Only http_stream_wake() may
 * come from another thread.
 */
#ifndef ECTO_LITEFS_HTTP_STREAM_H
#define ECTO_LITEFS_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_stream;

/* A longer answer to a short GET is as good as an empty one. */
enum { HTTP_ANSWER_MAX = 4096 };

enum http_closed {
    HTTP_REFUSED,   /* no connection: refused, no route, unknown host */
    HTTP_TIMEOUT,   /* no connection, or no complete headers, in time */
    HTTP_STATUS,    /* an answer, but not 200 (redirects are not followed) */
    HTTP_ENDED,     /* the body ended properly */
    HTTP_CUT,       /* hung up, reset, or not speaking HTTP */
    HTTP_ABANDONED, /* a hook returned false */
};

/* The hooks of the long GET: opened (200; the Litefs-Id header, "" where
 * there is none), any number of bytes, closed. opened and bytes return false
 * to abandon it; only in closed and probed may the stream be called. probed
 * ends a short GET: `alive` says that anything but a server error came, `body`
 * is that of a 200, empty where there is none or too much of it. */
struct http_stream_config {
    const char* url; /* copied */
    int64_t connect_timeout_ms;
    int64_t headers_timeout_ms; /* from connect to the end of the headers */
    int64_t probe_timeout_ms;
    bool (*opened)(void* ctx, const char* litefs_id);
    bool (*bytes)(void* ctx, const char* bytes, size_t size);
    void (*closed)(void* ctx, enum http_closed reason);
    void (*probed)(void* ctx, bool alive, const char* body, size_t size);
    void* ctx;
};

/* 0, -EINVAL (not an http or https URL that curl accepts) or -ENOMEM. */
int http_stream_open(const struct http_stream_config* config,
                     struct http_stream** stream);
void http_stream_close(struct http_stream* stream);

/* Start the long GET; none may be running. 0 or -ENOMEM. */
int http_stream_connect(struct http_stream* stream);

/* Start a short GET of /info (the URL with its last path segment replaced)
 * unless one is running. 0 or -ENOMEM. */
int http_stream_probe(struct http_stream* stream);

/* End whatever is running, without a call of closed or probed. */
void http_stream_drop(struct http_stream* stream);

/* Move bytes for `timeout_ms` at the most; returns early when anything
 * happened or http_stream_wake() was called. */
void http_stream_wait(struct http_stream* stream, int64_t timeout_ms);
void http_stream_wake(struct http_stream* stream);

#endif
