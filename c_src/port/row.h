/*
 * The tracking row: which node became primary last. Plain data, copied whole.
 *
 * 1.0 knows `node` and `updated_at` only; the others are "" or 0 where it wrote
 * the row, or where nobody knew them.
 */
#ifndef ECTO_LITEFS_ROW_H
#define ECTO_LITEFS_ROW_H

#include <stdint.h>

/* In bytes, without the final NUL. An atom has up to 255 characters, each up
 * to four bytes. */
enum {
    ROW_NODE_MAX = 1020,
    ROW_HOSTNAME_MAX = 255,
    ROW_TERM_SIZE = 16,
    ROW_VERSION_MAX = 63,
};

struct row {
    char node[ROW_NODE_MAX + 1];         /* name of the Erlang node */
    int64_t updated_at;                  /* unix time in seconds */
    char hostname[ROW_HOSTNAME_MAX + 1]; /* the one that LiteFS uses, or "" */
    char term[ROW_TERM_SIZE + 1];        /* 64 random bits in hex, or "" */
    int64_t started_at;                  /* unix time in ms, or 0 */
    char version[ROW_VERSION_MAX + 1];   /* of this library, or "" */
};

#endif
