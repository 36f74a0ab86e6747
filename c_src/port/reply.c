#include "reply.h"

#include <assert.h>
#include <ei.h>
#include <string.h>

enum { ROW_ARITY = 6 };

_Static_assert((int)FAILURE_TEXT_MAX + 128 <= (int)REPLY_MAX,
               "a failure fits into a reply");

/* The size of a reply is bounded by that of its texts, so that ei cannot run
 * out of room. */
static void begin(char* reply, int* index, uint64_t id)
{
    ei_encode_version(reply, index);
    ei_encode_tuple_header(reply, index, 2);
    ei_encode_ulonglong(reply, index, id);
}

static size_t end(int index)
{
    assert(index <= REPLY_MAX);
    return (size_t)index;
}

static void put_text(char* reply, int* index, const char* text)
{
    ei_encode_binary(reply, index, text, (long)strlen(text));
}

size_t reply_ok(char reply[REPLY_MAX], uint64_t id)
{
    int index = 0;

    begin(reply, &index, id);
    ei_encode_atom(reply, &index, "ok");
    return end(index);
}

size_t reply_row(char reply[REPLY_MAX], uint64_t id, const struct row* row)
{
    int index = 0;

    begin(reply, &index, id);
    ei_encode_tuple_header(reply, &index, 2);
    ei_encode_atom(reply, &index, "ok");
    if (row == NULL) {
        ei_encode_atom(reply, &index, "none");
        return end(index);
    }
    ei_encode_tuple_header(reply, &index, ROW_ARITY);
    put_text(reply, &index, row->node);
    ei_encode_longlong(reply, &index, row->updated_at);
    put_text(reply, &index, row->hostname);
    put_text(reply, &index, row->term);
    ei_encode_longlong(reply, &index, row->started_at);
    put_text(reply, &index, row->version);
    return end(index);
}

size_t reply_failure(char reply[REPLY_MAX], uint64_t id,
                     const struct failure* failure)
{
    int index = 0;

    begin(reply, &index, id);
    ei_encode_tuple_header(reply, &index, 2);
    ei_encode_atom(reply, &index, "error");
    ei_encode_tuple_header(reply, &index, 3);
    ei_encode_atom(reply, &index, failure_name(failure->code));
    ei_encode_long(reply, &index, failure->extended);
    put_text(reply, &index, failure->text);
    return end(index);
}
