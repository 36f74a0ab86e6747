/*
 * Replies, in Erlang's external term format:
 *
 *     {Id, ok} | {Id, {ok, Row}} | {Id, {ok, none}}
 *     {Id, {error, {Code, Extended, Text}}}
 *
 * docs/PROTOCOL.md has the types. Each function writes a whole reply and
 * returns its size; nothing can fail.
 */
#ifndef ECTO_LITEFS_REPLY_H
#define ECTO_LITEFS_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "failure.h"
#include "row.h"

/* The largest: a row of the longest texts, and 128 bytes for all the rest. */
enum {
    REPLY_MAX =
        ROW_NODE_MAX + ROW_HOSTNAME_MAX + ROW_TERM_SIZE + ROW_VERSION_MAX + 128
};

size_t reply_ok(char reply[REPLY_MAX], uint64_t id);

/* `row` is NULL where there is none. */
size_t reply_row(char reply[REPLY_MAX], uint64_t id, const struct row* row);

size_t reply_failure(char reply[REPLY_MAX], uint64_t id,
                     const struct failure* failure);

#endif
