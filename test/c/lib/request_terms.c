#include "request_terms.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct row full_row = {
    .node = "app@10.0.0.1",
    .updated_at = 1700000000,
    .hostname = "node-a",
    .term = "00000000deadbeef",
    .started_at = 1700000000123,
    .version = "2.0.0",
};

void term_begin(ei_x_buff* x, uint64_t id, long long time_left_ms)
{
    ck_assert_int_eq(ei_x_new_with_version(x), 0);
    ei_x_encode_tuple_header(x, 3);
    ei_x_encode_ulonglong(x, id);
    ei_x_encode_longlong(x, time_left_ms);
}

void term_text(ei_x_buff* x, const char* text)
{
    ei_x_encode_binary(x, text, (int)strlen(text));
}

static void begin_call(ei_x_buff* x, uint64_t id, int arity, const char* word)
{
    term_begin(x, id, TERM_TIME_LEFT_MS);
    ei_x_encode_tuple_header(x, arity);
    ei_x_encode_atom(x, word);
}

void term_open(ei_x_buff* x, uint64_t id, const char* path, const char* mode)
{
    begin_call(x, id, 3, "open");
    term_text(x, path);
    ei_x_encode_atom(x, mode);
}

void term_read_row(ei_x_buff* x, uint64_t id, const char* table)
{
    begin_call(x, id, 2, "read_row");
    term_text(x, table);
}

void term_row(ei_x_buff* x, const struct row* row)
{
    ei_x_encode_tuple_header(x, 6);
    term_text(x, row->node);
    ei_x_encode_longlong(x, row->updated_at);
    term_text(x, row->hostname);
    term_text(x, row->term);
    ei_x_encode_longlong(x, row->started_at);
    term_text(x, row->version);
}

void term_write_row(ei_x_buff* x, uint64_t id, const char* table,
                    const struct row* row)
{
    begin_call(x, id, 3, "write_row");
    term_text(x, table);
    term_row(x, row);
}

void term_word(ei_x_buff* x, uint64_t id, const char* word)
{
    term_begin(x, id, TERM_TIME_LEFT_MS);
    ei_x_encode_atom(x, word);
}

void term_free(ei_x_buff* x)
{
    ei_x_free(x);
}

/* -- memory with an end ---------------------------------------------------- */

static size_t room(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size / page + 1) * page;
}

char* guarded_copy(const char* bytes, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char* start = mmap(NULL, room(size) + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(start != MAP_FAILED);
    ck_assert_int_eq(mprotect(start + room(size), page, PROT_NONE), 0);
    return memcpy(start + room(size) - size, bytes, size);
}

void guarded_free(char* copy, size_t size)
{
    munmap(copy + size - room(size),
           room(size) + (size_t)sysconf(_SC_PAGESIZE));
}
