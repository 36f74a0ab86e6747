#include "line_reader.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void line_reader_init(struct line_reader* reader, size_t max, line_fn line,
                      void* ctx)
{
    *reader = (struct line_reader){.line = line, .ctx = ctx, .max = max};
}

static void give_back(struct line_reader* reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
    reader->size = 0;
    reader->capacity = 0;
}

void line_reader_reset(struct line_reader* reader)
{
    give_back(reader);
    reader->dropping = false;
}

/* Doubling keeps the copying linear in the length of the line. */
static bool reserve(struct line_reader* reader, size_t size)
{
    if (size <= reader->capacity)
        return true;
    size_t capacity = reader->capacity ? reader->capacity : FIRST_CAPACITY;
    while (capacity < size)
        capacity *= 2;
    if (capacity > reader->max)
        capacity = reader->max;
    char* buffer = realloc(reader->buffer, capacity);
    if (!buffer)
        return false;
    reader->buffer = buffer;
    reader->capacity = capacity;
    return true;
}

/* Keep a piece of an unfinished line, or begin to drop the line. */
static void append(struct line_reader* reader, const char* bytes, size_t size)
{
    if (reader->dropping || size == 0)
        return;
    if (size > reader->max - reader->size ||
        !reserve(reader, reader->size + size)) {
        give_back(reader);
        reader->dropping = true;
        return;
    }
    memcpy(reader->buffer + reader->size, bytes, size);
    reader->size += size;
}

static bool drop(struct line_reader* reader)
{
    reader->dropping = false;
    reader->dropped++;
    return true;
}

/* `bytes` is the end of a line, or a whole one. */
static bool finish(struct line_reader* reader, const char* bytes, size_t size)
{
    if (!reader->dropping && reader->size == 0 && size <= reader->max)
        return reader->line(reader->ctx, bytes, size);
    append(reader, bytes, size);
    if (reader->dropping)
        return drop(reader);
    bool go_on = reader->line(reader->ctx, reader->buffer, reader->size);
    reader->size = 0;
    if (reader->capacity > LINE_READER_KEEP)
        give_back(reader);
    return go_on;
}

bool line_reader_feed(struct line_reader* reader, const char* bytes,
                      size_t size)
{
    while (size > 0) {
        const char* newline = memchr(bytes, '\n', size);
        if (!newline) {
            append(reader, bytes, size);
            return true;
        }
        size_t length = (size_t)(newline - bytes);
        if (!finish(reader, bytes, length))
            return false;
        bytes += length + 1;
        size -= length + 1;
    }
    return true;
}
