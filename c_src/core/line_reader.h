/*
 * Bytes in, whole lines out.
 *
 * A line that arrives in one piece is handed over where it lies; only the
 * beginning of an unfinished line is copied. Every byte is looked at once. A
 * line longer than `max` is dropped whole and counted, and so is one for which
 * there is no memory: the next line works.
 */
#ifndef ECTO_LITEFS_LINE_READER_H
#define ECTO_LITEFS_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is kept allocated between lines, at the most. */
enum { LINE_READER_KEEP = 4096 };

/* Gets a line without its "\n"; it is not NUL-terminated and ends with the
 * call. False means: no more lines, please. */
typedef bool (*line_fn)(void* ctx, const char* line, size_t size);

/* Zeroed by line_reader_init; its fields belong to line_reader.c, but
 * `dropped` may be read. */
struct line_reader {
    line_fn line;
    void* ctx;
    size_t max;
    char* buffer; /* the beginning of a line whose end has not come */
    size_t size;
    size_t capacity;
    bool dropping;    /* inside a line that is too long */
    uint64_t dropped; /* lines that were too long */
};

void line_reader_init(struct line_reader* reader, size_t max, line_fn line,
                      void* ctx);

/* False when the callback said false; the rest of `bytes` is lost then. */
bool line_reader_feed(struct line_reader* reader, const char* bytes,
                      size_t size);

/* Forget an unfinished line, because another connection begins. The buffer
 * is given back, so this is the destructor too. */
void line_reader_reset(struct line_reader* reader);

#endif
