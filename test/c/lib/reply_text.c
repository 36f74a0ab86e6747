#include "reply_text.h"

#include <check.h>
#include <ei.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE_MAX = 64 };

static char text[4096];

__attribute__((format(printf, 1, 2))) static void put(const char* format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    ck_assert_int_lt(
        vsnprintf(text + used, sizeof text - used, format, arguments),
        (int)(sizeof text - used));
    va_end(arguments);
}

static void put_binary(const char* reply, int* index, int size)
{
    char bytes[4096];
    long got;

    ck_assert_int_le(size, (int)sizeof bytes);
    ck_assert_int_eq(ei_decode_binary(reply, index, bytes, &got), 0);
    if (got > WHOLE_MAX) {
        put("<<%ld>>", got);
    } else {
        put("<<\"%.*s\">>", (int)got, bytes);
    }
}

static void put_integer(const char* reply, int* index)
{
    unsigned long long large;
    long long value;

    if (ei_decode_longlong(reply, index, &value) == 0) {
        put("%lld", value);
    } else {
        ck_assert_int_eq(ei_decode_ulonglong(reply, index, &large), 0);
        put("%llu", large);
    }
}

static void put_term(const char* reply, int* index)
{
    char atom[MAXATOMLEN];
    int type;
    int size;

    ck_assert_int_eq(ei_get_type(reply, index, &type, &size), 0);
    if (type == ERL_SMALL_TUPLE_EXT) {
        ck_assert_int_eq(ei_decode_tuple_header(reply, index, &size), 0);
        for (int i = 0; i < size; i++) {
            put("%s", i == 0 ? "{" : ",");
            put_term(reply, index);
        }
        put("}");
    } else if (type == ERL_BINARY_EXT) {
        put_binary(reply, index, size);
    } else if (ei_decode_atom(reply, index, atom) == 0) {
        put("%s", atom);
    } else {
        put_integer(reply, index);
    }
}

const char* reply_text(const char* reply, size_t size)
{
    int index = 0;
    int version;

    text[0] = '\0';
    ck_assert_int_eq(ei_decode_version(reply, &index, &version), 0);
    put_term(reply, &index);
    ck_assert_int_eq(index, (int)size);
    return text;
}
