/*
 * The one grammar of requests: a packet's bytes into a struct request.
 *
 *     {Id, TimeLeft, {open, Path, readwrite | query_only}}
 *     {Id, TimeLeft, {write_row, Table, Row}}
 *     {Id, TimeLeft, {read_row, Table}}
 *     {Id, TimeLeft, close}
 *     {Id, TimeLeft, ping}
 *
 * in Erlang's external term format; docs/PROTOCOL.md has the types. Pure:
 * nothing is opened or allocated, and no byte behind `size` is read, whatever
 * the bytes are. (ei alone would read on: its decoders know no end.)
 */
#ifndef ECTO_LITEFS_REQUEST_H
#define ECTO_LITEFS_REQUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "row.h"

/* In bytes, without the final NUL. */
enum { REQUEST_TABLE_MAX = 255 };

/* The longest time that Erlang waits for anything, in milliseconds. */
#define REQUEST_TIME_MAX INT64_C(4294967295)

enum request_type {
    REQUEST_OPEN,
    REQUEST_WRITE_ROW,
    REQUEST_READ_ROW,
    REQUEST_CLOSE,
    REQUEST_PING,
};

/* What request_decode() returns besides 0. */
enum request_error {
    REQUEST_NO_ID = -1, /* nobody can be answered */
    REQUEST_BAD = -2,   /* the id is known, the rest is no request */
};

struct request {
    uint64_t id; /* whatever the sender likes; comes back in the reply */
    int64_t time_left_ms;
    enum request_type type;
    bool query_only;                   /* open */
    char path[PATH_MAX];               /* open: absolute */
    char table[REQUEST_TABLE_MAX + 1]; /* *_row: an SQL identifier */
    struct row row;                    /* write_row */
};

/* 0, or one of request_error. After REQUEST_BAD only the id is set. */
int request_decode(const char* packet, size_t size, struct request* request);

#endif
