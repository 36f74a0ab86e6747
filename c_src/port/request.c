#include "request.h"

#include <ei.h>
#include <string.h>

#include "packet.h"

/* The longest atom of the grammar is "query_only". */
enum { WORD_MAX = 15, OUTER_ARITY = 3, ROW_ARITY = 6 };

struct cursor {
    const char* bytes;
    int size;
    int index; /* of the next term; what is before it has been decoded */
};

/* -- within the bounds ----------------------------------------------------- */

/* The bytes of a term before its content; 0 for a term that no request has. */
static int header_size(unsigned char tag)
{
    switch (tag) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_SMALL_ATOM_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
    case ERL_SMALL_TUPLE_EXT:
        return 2;
    case ERL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
    case ERL_SMALL_BIG_EXT:
        return 3;
    case ERL_INTEGER_EXT:
    case ERL_BINARY_EXT:
        return 5;
    default:
        return 0;
    }
}

static bool has_content(unsigned char tag)
{
    return tag != ERL_SMALL_INTEGER_EXT && tag != ERL_INTEGER_EXT &&
           tag != ERL_SMALL_TUPLE_EXT;
}

/* True where the next term (of a tuple, its header) is whole; `length` is then
 * what ei_get_type() says of it. ei may be called only after this. */
static bool next_is_whole(const struct cursor* cursor, int* length)
{
    int left = cursor->size - cursor->index;
    unsigned char tag;
    int header;
    int type;

    if (left < 1) {
        return false;
    }
    tag = (unsigned char)cursor->bytes[cursor->index];
    header = header_size(tag);
    if (header == 0 || left < header ||
        ei_get_type(cursor->bytes, &cursor->index, &type, length) != 0) {
        return false;
    }
    return !has_content(tag) || (*length >= 0 && left - header >= *length);
}

/* -- one term -------------------------------------------------------------- */

static bool get_tuple(struct cursor* cursor, int arity)
{
    int length;
    int got;

    return next_is_whole(cursor, &length) &&
           ei_decode_tuple_header(cursor->bytes, &cursor->index, &got) == 0 &&
           got == arity;
}

/* Leaves the cursor where it is if the next term is something else. */
static bool get_word(struct cursor* cursor, char word[WORD_MAX + 1])
{
    int length;

    return next_is_whole(cursor, &length) &&
           ei_decode_atom_as(cursor->bytes, &cursor->index, word, WORD_MAX + 1,
                             ERLANG_LATIN1, NULL, NULL) == 0 &&
           strlen(word) == (size_t)length;
}

static bool get_unsigned(struct cursor* cursor, uint64_t* value)
{
    unsigned long long got;
    int length;

    if (!next_is_whole(cursor, &length) ||
        ei_decode_ulonglong(cursor->bytes, &cursor->index, &got) != 0) {
        return false;
    }
    *value = got;
    return true;
}

/* From 0 up to `max`. */
static bool get_bounded(struct cursor* cursor, int64_t max, int64_t* value)
{
    uint64_t got;

    if (!get_unsigned(cursor, &got) || got > (uint64_t)max) {
        return false;
    }
    *value = (int64_t)got;
    return true;
}

/* A binary without NUL of `min` to `max` bytes, as a string. */
static bool get_text(struct cursor* cursor, size_t min, size_t max, char* text)
{
    int length;
    int type;
    long size;

    if (!next_is_whole(cursor, &length) ||
        ei_get_type(cursor->bytes, &cursor->index, &type, &length) != 0 ||
        type != ERL_BINARY_EXT || (size_t)length < min ||
        (size_t)length > max ||
        ei_decode_binary(cursor->bytes, &cursor->index, text, &size) != 0) {
        return false;
    }
    text[size] = '\0';
    return memchr(text, 0, (size_t)size) == NULL;
}

/* -- the grammar ----------------------------------------------------------- */

static bool get_open(struct cursor* cursor, struct request* request)
{
    char mode[WORD_MAX + 1];

    request->type = REQUEST_OPEN;
    if (!get_text(cursor, 1, sizeof request->path - 1, request->path) ||
        request->path[0] != '/' || !get_word(cursor, mode)) {
        return false;
    }
    request->query_only = strcmp(mode, "query_only") == 0;
    return request->query_only || strcmp(mode, "readwrite") == 0;
}

/* The name goes into SQL, so it is an identifier and nothing else. */
static bool get_table(struct cursor* cursor, char* table)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return get_text(cursor, 1, REQUEST_TABLE_MAX, table) &&
           strspn(table, letters) == strlen(table) &&
           !(table[0] >= '0' && table[0] <= '9');
}

static bool is_term(const char* term)
{
    size_t size = strlen(term);

    return size == 0 ||
           (size == ROW_TERM_SIZE && strspn(term, "0123456789abcdef") == size);
}

static bool get_row(struct cursor* cursor, struct row* row)
{
    return get_tuple(cursor, ROW_ARITY) &&
           get_text(cursor, 1, ROW_NODE_MAX, row->node) &&
           get_bounded(cursor, INT64_MAX, &row->updated_at) &&
           get_text(cursor, 0, ROW_HOSTNAME_MAX, row->hostname) &&
           get_text(cursor, 0, ROW_TERM_SIZE, row->term) &&
           is_term(row->term) &&
           get_bounded(cursor, INT64_MAX, &row->started_at) &&
           get_text(cursor, 0, ROW_VERSION_MAX, row->version);
}

static bool get_call(struct cursor* cursor, int arity, const char* word,
                     struct request* request)
{
    if (arity == 3 && strcmp(word, "open") == 0) {
        return get_open(cursor, request);
    }
    if (arity == 3 && strcmp(word, "write_row") == 0) {
        request->type = REQUEST_WRITE_ROW;
        return get_table(cursor, request->table) &&
               get_row(cursor, &request->row);
    }
    if (arity == 2 && strcmp(word, "read_row") == 0) {
        request->type = REQUEST_READ_ROW;
        return get_table(cursor, request->table);
    }
    return false;
}

static bool get_body(struct cursor* cursor, struct request* request)
{
    char word[WORD_MAX + 1];
    int arity;

    if (get_word(cursor, word)) {
        request->type =
            strcmp(word, "ping") == 0 ? REQUEST_PING : REQUEST_CLOSE;
        return request->type == REQUEST_PING || strcmp(word, "close") == 0;
    }
    return next_is_whole(cursor, &arity) && get_tuple(cursor, arity) &&
           get_word(cursor, word) && get_call(cursor, arity, word, request);
}

int request_decode(const char* packet, size_t size, struct request* request)
{
    struct cursor cursor = {.bytes = packet, .size = (int)size};
    int version;

    if (size == 0 || size > PACKET_MAX ||
        ei_decode_version(packet, &cursor.index, &version) != 0 ||
        !get_tuple(&cursor, OUTER_ARITY) ||
        !get_unsigned(&cursor, &request->id)) {
        return REQUEST_NO_ID;
    }
    if (!get_bounded(&cursor, REQUEST_TIME_MAX, &request->time_left_ms) ||
        !get_body(&cursor, request) || cursor.index != cursor.size) {
        return REQUEST_BAD;
    }
    return 0;
}
