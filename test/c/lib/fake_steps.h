/* What the scripted LiteFS says on one connection, step by step. */
#ifndef FAKE_STEPS_H
#define FAKE_STEPS_H

#include <stddef.h>

enum fake_step_type {
    FAKE_END_OF_SCRIPT = 0,
    FAKE_STATUS,  /* `number` with an empty body, then hang up */
    FAKE_HEADERS, /* 200 with a chunked body; text: one more header line */
    FAKE_LINE,    /* text and a newline, as one chunk */
    FAKE_TEXT,    /* text alone, as one chunk: half a line */
    FAKE_LONG,    /* one line of `number` bytes, in chunks */
    FAKE_RAW,     /* text as it is, outside of any chunk */
    FAKE_END,     /* the last chunk, then hang up: a proper end */
    FAKE_HANG_UP, /* hang up, in the middle of whatever it is */
};

struct fake_step {
    enum fake_step_type type;
    const char* text; /* not copied: must outlive the server */
    int number;
};

#define FAKE_ID "00C0FFEE00C0FFEE"
#define FAKE_INIT(data)                                         \
    {FAKE_HEADERS, "Litefs-Id: " FAKE_ID "\r\n", 0},            \
    {                                                           \
        FAKE_LINE, "{\"type\":\"init\",\"data\":{" data "}}", 0 \
    }
#define FAKE_CHANGE(data)                                                \
    {                                                                    \
        FAKE_LINE, "{\"type\":\"primaryChange\",\"data\":{" data "}}", 0 \
    }
#define FAKE_SCRIPT(...) \
    ((const struct fake_step[]){__VA_ARGS__, {FAKE_END_OF_SCRIPT, NULL, 0}})

/* Blocks while the client does not read, but gives up with its socket. */
void fake_steps_play(int fd, const struct fake_step* steps);

#endif
