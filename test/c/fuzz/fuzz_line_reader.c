/*
 * How lines are cut out of chunks, against a plain search; `make -C c_src fuzz`
 * builds and runs it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "line_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

enum { LIMIT = 64 };

/* The whole input and the place in it that the reader must have reached. */
struct expected {
    const char* text;
    size_t size;
    size_t at;
    uint64_t dropped;
};

/* The end of the next line of the text that is not too long. */
static size_t next_line(struct expected* expected)
{
    for (;;) {
        const char* line = expected->text + expected->at;
        const char* newline = memchr(line, '\n', expected->size - expected->at);
        if (!newline)
            return SIZE_MAX;
        size_t length = (size_t)(newline - line);
        if (length <= LIMIT)
            return length;
        expected->at += length + 1;
        expected->dropped++;
    }
}

static bool compare(void* ctx, const char* line, size_t size)
{
    struct expected* expected = ctx;

    if (next_line(expected) != size ||
        memcmp(line, expected->text + expected->at, size) != 0)
        abort();
    expected->at += size + 1;
    return true;
}

/* The first byte says how the rest is cut into pieces. */
int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = (size_t)bytes[0] % 97 + 1;
    const char* text = (const char*)bytes + 1;
    struct expected expected = {.text = text, .size = size - 1};
    struct line_reader reader;

    line_reader_init(&reader, LIMIT, compare, &expected);
    for (size_t at = 0; at < size - 1; at += piece) {
        size_t left = size - 1 - at;
        line_reader_feed(&reader, text + at, left < piece ? left : piece);
    }
    if (next_line(&expected) != SIZE_MAX || expected.dropped != reader.dropped)
        abort();
    line_reader_reset(&reader);
    return 0;
}
