#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "request.h"
#include "request_terms.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static ei_x_buff x;
static struct request request;

static int decode(void)
{
    char* copy = guarded_copy(x.buff, (size_t)x.index);
    int rv = request_decode(copy, (size_t)x.index, &request);

    guarded_free(copy, (size_t)x.index);
    term_free(&x);
    return rv;
}

/* A text of `size` letters. */
static const char* letters(size_t size)
{
    static char text[PACKET_MAX];

    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

/* -- what Erlang sends ----------------------------------------------------- */

START_TEST(open_is_decoded)
{
    term_open(&x, 7, "/litefs/app.db", "readwrite");
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_OPEN);
    ck_assert_uint_eq(request.id, 7);
    ck_assert_int_eq(request.time_left_ms, TERM_TIME_LEFT_MS);
    ck_assert_str_eq(request.path, "/litefs/app.db");
    ck_assert(!request.query_only);

    term_open(&x, 8, "/litefs/app.db", "query_only");
    ck_assert_int_eq(decode(), 0);
    ck_assert(request.query_only);
}
END_TEST

START_TEST(write_row_is_decoded)
{
    term_write_row(&x, 7, "_ecto_litefs_primary", &full_row);
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_WRITE_ROW);
    ck_assert_str_eq(request.table, "_ecto_litefs_primary");
    ck_assert_str_eq(request.row.node, full_row.node);
    ck_assert_int_eq(request.row.updated_at, full_row.updated_at);
    ck_assert_str_eq(request.row.hostname, full_row.hostname);
    ck_assert_str_eq(request.row.term, full_row.term);
    ck_assert_int_eq(request.row.started_at, full_row.started_at);
    ck_assert_str_eq(request.row.version, full_row.version);
}
END_TEST

START_TEST(a_row_of_1_0_is_decoded)
{
    struct row row = {.node = "a@b", .updated_at = 1};

    term_write_row(&x, 7, "t", &row);
    ck_assert_int_eq(decode(), 0);
    ck_assert_str_eq(request.row.hostname, "");
    ck_assert_str_eq(request.row.term, "");
    ck_assert_int_eq(request.row.started_at, 0);
}
END_TEST

START_TEST(the_others_are_decoded)
{
    term_read_row(&x, 7, "T1");
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_READ_ROW);
    ck_assert_str_eq(request.table, "T1");
    term_word(&x, UINT64_MAX, "ping");
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_PING);
    ck_assert_uint_eq(request.id, UINT64_MAX);
    term_word(&x, 0, "close");
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_CLOSE);
    ck_assert_uint_eq(request.id, 0);
}
END_TEST

/* Erlang has four ways to write an atom, and changed its mind in OTP 26. */
START_TEST(atoms_of_every_release)
{
    static const char* const atoms[] = {"d\0\4ping", "s\4ping", "v\0\4ping",
                                        "w\4ping"};
    static const int sizes[] = {7, 6, 7, 6};

    term_begin(&x, 1, 1);
    ei_x_append_buf(&x, atoms[_i], sizes[_i]);
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.type, REQUEST_PING);
}
END_TEST

START_TEST(the_longest_fields)
{
    static struct row row;

    memset(row.node, 'n', ROW_NODE_MAX);
    memset(row.hostname, 'h', ROW_HOSTNAME_MAX);
    memset(row.term, 'f', ROW_TERM_SIZE);
    memset(row.version, '2', ROW_VERSION_MAX);
    row.updated_at = row.started_at = INT64_MAX;
    term_write_row(&x, 1, letters(REQUEST_TABLE_MAX), &row);
    ck_assert_int_eq(decode(), 0);
    ck_assert_str_eq(request.row.node, row.node);
    ck_assert_str_eq(request.row.version, row.version);
    ck_assert_int_eq(request.row.started_at, INT64_MAX);

    term_begin(&x, 1, REQUEST_TIME_MAX);
    ei_x_encode_atom(&x, "ping");
    ck_assert_int_eq(decode(), 0);
    ck_assert_int_eq(request.time_left_ms, REQUEST_TIME_MAX);
}
END_TEST

START_TEST(the_longest_path)
{
    char* path = strdup(letters(PATH_MAX));

    path[0] = '/';
    path[PATH_MAX - 1] = '\0';
    term_open(&x, 1, path, "readwrite");
    ck_assert_int_eq(decode(), 0);
    ck_assert_str_eq(request.path, path);
    path[PATH_MAX - 1] = 'x';
    term_open(&x, 1, path, "readwrite");
    ck_assert_int_eq(decode(), REQUEST_BAD);
    free(path);
}
END_TEST

/* -- fields out of bounds -------------------------------------------------- */

static const char* const bad_tables[] = {
    "", "1t", "a-b", "a b", "t\"", "t;", "t\n", "\xc3\xa9", "main.t",
};

START_TEST(a_table_that_is_no_identifier)
{
    term_read_row(&x, 9, bad_tables[_i]);
    ck_assert_int_eq(decode(), REQUEST_BAD);
    ck_assert_uint_eq(request.id, 9);
}
END_TEST

static const char* const bad_terms[] = {
    "0",
    "000000000000000",
    "00000000000000000",
    "00000000DEADBEEF",
    "0x00000000000000",
    "               g",
};

START_TEST(a_term_that_is_none)
{
    term_begin(&x, 1, 1);
    ei_x_encode_tuple_header(&x, 3);
    ei_x_encode_atom(&x, "write_row");
    term_text(&x, "t");
    ei_x_encode_tuple_header(&x, 6);
    term_text(&x, "a@b");
    ei_x_encode_long(&x, 1);
    term_text(&x, "");
    term_text(&x, bad_terms[_i]);
    ei_x_encode_long(&x, 1);
    term_text(&x, "");
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

START_TEST(texts_that_are_too_long_or_empty)
{
    struct row row = full_row;

    row.node[0] = '\0';
    term_write_row(&x, 1, "t", &row);
    ck_assert_int_eq(decode(), REQUEST_BAD);
    term_read_row(&x, 1, letters(REQUEST_TABLE_MAX + 1));
    ck_assert_int_eq(decode(), REQUEST_BAD);
    term_open(&x, 1, "", "readwrite");
    ck_assert_int_eq(decode(), REQUEST_BAD);
    term_open(&x, 1, "app.db", "readwrite");
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

START_TEST(a_nul_in_a_text)
{
    term_begin(&x, 1, 1);
    ei_x_encode_tuple_header(&x, 3);
    ei_x_encode_atom(&x, "open");
    ei_x_encode_binary(&x, "/etc\0/db", 8);
    ei_x_encode_atom(&x, "readwrite");
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

static const long long bad_times[] = {-1, REQUEST_TIME_MAX + 1, INT64_MAX};

START_TEST(a_time_out_of_bounds)
{
    term_begin(&x, 1, bad_times[_i]);
    ei_x_encode_atom(&x, "ping");
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

/* -- no request ------------------------------------------------------------ */

static const char* const bad_words[] = {
    "pin", "pings", "read_row", "", "PING", "a_word_longer_than_all_of_ours",
};

START_TEST(unknown_words)
{
    term_word(&x, 1, bad_words[_i]);
    ck_assert_int_eq(decode(), REQUEST_BAD);
    term_begin(&x, 1, 1);
    ei_x_encode_tuple_header(&x, 2);
    ei_x_encode_atom(&x, bad_words[_i]);
    ei_x_encode_long(&x, 1);
    ck_assert_int_eq(decode(), REQUEST_BAD);
    term_open(&x, 1, "/db", bad_words[_i]);
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

START_TEST(a_second_term_behind_the_first)
{
    term_word(&x, 1, "ping");
    ei_x_encode_long(&x, 1);
    ck_assert_int_eq(decode(), REQUEST_BAD);
}
END_TEST

/* The texts are bytes of the external term format, without its version. */
static const struct {
    const char* bytes;
    int size;
} without_id[] = {
    {"", 0},
    {"d\0\4ping", 7},
    {"h\2a\1d\0\4ping", 11},         /* {1, ping} */
    {"h\3d\0\1aa\1d\0\4ping", 15},   /* {a, 1, ping} */
    {"h\3b\377\377\377\377a\1j", 9}, /* {-1, 1, []} */
    {"i\0\0\0\3a\1a\1d\0\4ping", 16},
    {"h\3n\11\0aaaaaaaaaa\1j", 17}, /* an integer of nine bytes */
    {"h\3o\377\377\377\377\0", 8},
    {"P\0\0\0\7x", 6}, /* compressed */
    {"h\3m\377\377\377\377", 7},
    {"h\3m\0\0\0\1", 7},
    {"h\3n", 3},
    {"h", 1},
};

START_TEST(nobody_to_answer)
{
    ck_assert_int_eq(ei_x_new_with_version(&x), 0);
    ei_x_append_buf(&x, without_id[_i].bytes, without_id[_i].size);
    ck_assert_int_eq(decode(), REQUEST_NO_ID);
}
END_TEST

START_TEST(another_version_of_the_format)
{
    ck_assert_int_eq(ei_x_new(&x), 0);
    ei_x_append_buf(&x, "\202h\3a\1a\1d\0\4ping", 14);
    ck_assert_int_eq(decode(), REQUEST_NO_ID);
    ck_assert_int_eq(request_decode("", 0, &request), REQUEST_NO_ID);
    ck_assert_int_eq(request_decode(letters(8), PACKET_MAX + 1, &request),
                     REQUEST_NO_ID);
}
END_TEST

/* Nothing is read behind a packet, wherever it is cut. */
START_TEST(cut_everywhere)
{
    char packet[4096];
    size_t size;

    if (_i == 0) {
        term_write_row(&x, UINT32_MAX, "t", &full_row);
    } else if (_i == 1) {
        term_open(&x, UINT64_MAX, "/litefs/db", "query_only");
    } else {
        term_read_row(&x, 1, "t");
    }
    size = (size_t)x.index;
    ck_assert_uint_le(size, sizeof packet);
    memcpy(packet, x.buff, size);
    term_free(&x);
    for (size_t cut = 0; cut < size; cut++) {
        ei_x_new(&x);
        ei_x_append_buf(&x, packet, (int)cut);
        ck_assert_int_ne(decode(), 0);
    }
}
END_TEST

static void add_bad(TCase* tcase)
{
    tcase_add_loop_test(tcase, a_table_that_is_no_identifier, 0,
                        COUNT(bad_tables));
    tcase_add_loop_test(tcase, a_term_that_is_none, 0, COUNT(bad_terms));
    tcase_add_test(tcase, texts_that_are_too_long_or_empty);
    tcase_add_test(tcase, a_nul_in_a_text);
    tcase_add_loop_test(tcase, a_time_out_of_bounds, 0, COUNT(bad_times));
    tcase_add_loop_test(tcase, unknown_words, 0, COUNT(bad_words));
    tcase_add_test(tcase, a_second_term_behind_the_first);
    tcase_add_loop_test(tcase, nobody_to_answer, 0, COUNT(without_id));
    tcase_add_test(tcase, another_version_of_the_format);
    tcase_add_loop_test(tcase, cut_everywhere, 0, 3);
}

Suite* suite_request(void);

Suite* suite_request(void)
{
    Suite* suite = suite_create("request");
    TCase* tcase = tcase_create("request");

    tcase_add_test(tcase, open_is_decoded);
    tcase_add_test(tcase, write_row_is_decoded);
    tcase_add_test(tcase, a_row_of_1_0_is_decoded);
    tcase_add_test(tcase, the_others_are_decoded);
    tcase_add_loop_test(tcase, atoms_of_every_release, 0, 4);
    tcase_add_test(tcase, the_longest_fields);
    tcase_add_test(tcase, the_longest_path);
    add_bad(tcase);
    suite_add_tcase(suite, tcase);
    return suite;
}
