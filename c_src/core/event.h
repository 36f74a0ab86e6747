/*
 * What LiteFS says in JSON: a line of its event stream, the body of /info.
 *
 *   {"type":"init","data":{"isPrimary":false,"hostname":"node-a"}}
 *   {"type":"primaryChange","data":{"isPrimary":true}}
 *   {"type":"tx","db":"app.db","data":{"txID":"0000000000000027",
 *                                      "postApplyChecksum":"83b0...",...}}
 *
 * What a later LiteFS may add is ignored: unknown types, unknown fields. What
 * we do read must be right in type, length and characters, or the whole line
 * is malformed: a role is never decided by half an event.
 */
#ifndef ECTO_LITEFS_EVENT_H
#define ECTO_LITEFS_EVENT_H

#include <stddef.h>

#include "status.h"

/* Deeper nesting is malformed, because the JSON parser recurses. */
enum { EVENT_DEPTH_MAX = 32 };

enum event_type {
    EVENT_MALFORMED = 0, /* not JSON, or a known event with wrong fields */
    EVENT_IGNORED,       /* an unknown type, a blank line, a database whose
                            name is longer than we keep */
    EVENT_INIT,          /* the state at the time of the connection */
    EVENT_PRIMARY_CHANGE,
    EVENT_TX,
};

struct event {
    enum event_type type;
    union {
        struct { /* INIT, PRIMARY_CHANGE */
            bool is_primary;
            char hostname[HOSTNAME_MAX + 1]; /* "" where not named */
        } primary;
        struct db_position position; /* TX */
    };
};

void event_parse(const char* line, size_t size, struct event* event);

/* {"isPrimary":true,"primary":{"hostname":"node-a"}}: true, and the hostname
 * of this very node. It is named nowhere else, and only while it is primary;
 * false, and nothing is written, for anything else. */
bool event_parse_info(const char* body, size_t size,
                      char hostname[HOSTNAME_MAX + 1]);

#endif
