#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "line_reader.h"

/* The lines that came, joined with '|'. */
struct seen {
    char text[512];
    size_t size;
    int count;
    int stop_after; /* 0 = never */
    size_t last_size;
};

static bool keep(void* ctx, const char* line, size_t size)
{
    struct seen* seen = ctx;

    seen->last_size = size;
    if (seen->size + size + 2 < sizeof(seen->text)) {
        memcpy(seen->text + seen->size, line, size);
        seen->size += size;
        seen->text[seen->size++] = '|';
    }
    seen->count++;
    return seen->count != seen->stop_after;
}

static bool feed(struct line_reader* reader, const char* text)
{
    return line_reader_feed(reader, text, strlen(text));
}

/* `size` bytes of x without a newline, in pieces. */
static void feed_long(struct line_reader* reader, size_t size)
{
    char piece[1000];

    memset(piece, 'x', sizeof(piece));
    while (size > 0) {
        size_t now = size < sizeof(piece) ? size : sizeof(piece);
        ck_assert(line_reader_feed(reader, piece, now));
        size -= now;
    }
}

START_TEST(several_lines_in_one_piece)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 100, keep, &seen);
    ck_assert(feed(&reader, "one\ntwo\n\nfour\n"));
    ck_assert_str_eq(seen.text, "one|two||four|");
    ck_assert_ptr_null(reader.buffer); /* nothing had to be copied */
    line_reader_reset(&reader);
}
END_TEST

START_TEST(every_way_to_cut_a_text)
{
    const char* text = "alpha\n\nbeta\ngamma\n";
    size_t size = strlen(text);

    for (size_t a = 0; a <= size; a++) {
        for (size_t b = a; b <= size; b++) {
            struct seen seen = {.count = 0};
            struct line_reader reader;
            line_reader_init(&reader, 5, keep, &seen);
            ck_assert(line_reader_feed(&reader, text, a));
            ck_assert(line_reader_feed(&reader, text + a, b - a));
            ck_assert(line_reader_feed(&reader, text + b, size - b));
            ck_assert_str_eq(seen.text, "alpha||beta|gamma|");
            ck_assert_uint_eq(reader.dropped, 0);
            line_reader_reset(&reader);
        }
    }
}
END_TEST

START_TEST(bytes_one_by_one_with_a_nul)
{
    const char text[] = "a\0b\nc\n";
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 100, keep, &seen);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        ck_assert(line_reader_feed(&reader, text + i, 1));
    ck_assert_int_eq(seen.count, 2);
    ck_assert_int_eq(memcmp(seen.text, "a\0b|c|", 6), 0);
    line_reader_reset(&reader);
}
END_TEST

START_TEST(a_line_of_the_limit_passes)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 1 << 20, keep, &seen);
    feed_long(&reader, 1 << 20);
    ck_assert(feed(&reader, "\n"));
    ck_assert_int_eq(seen.count, 1);
    ck_assert_uint_eq(seen.last_size, 1 << 20);
    ck_assert_uint_eq(reader.dropped, 0);
    line_reader_reset(&reader);
}
END_TEST

START_TEST(a_longer_line_is_dropped_whole_and_the_next_works)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 1 << 20, keep, &seen);
    feed_long(&reader, 2 << 20);
    ck_assert_ptr_null(reader.buffer); /* given up long before its end */
    ck_assert(feed(&reader, "tail\nnext\n"));
    ck_assert_str_eq(seen.text, "next|");
    ck_assert_uint_eq(reader.dropped, 1);
    line_reader_reset(&reader);
}
END_TEST

START_TEST(a_longer_line_in_one_piece_is_dropped)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 4, keep, &seen);
    ck_assert(feed(&reader, "12345\n1234\n123"));
    ck_assert(feed(&reader, "45\nok\n"));
    ck_assert_str_eq(seen.text, "1234|ok|");
    ck_assert_uint_eq(reader.dropped, 2);
    line_reader_reset(&reader);
}
END_TEST

START_TEST(memory_is_given_back_after_a_long_line)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 1 << 20, keep, &seen);
    feed_long(&reader, 500000);
    ck_assert_uint_ge(reader.capacity, 500000);
    ck_assert_uint_lt(reader.capacity, 1000001); /* doubled, not more */
    ck_assert(feed(&reader, "\nsho"));
    ck_assert(feed(&reader, "rt\n"));
    ck_assert_uint_le(reader.capacity, LINE_READER_KEEP);
    ck_assert_int_eq(seen.count, 2);
    line_reader_reset(&reader);
}
END_TEST

START_TEST(the_callback_can_stop)
{
    struct seen seen = {.stop_after = 2};
    struct line_reader reader;

    line_reader_init(&reader, 100, keep, &seen);
    ck_assert(!feed(&reader, "one\ntwo\nthree\n"));
    ck_assert_str_eq(seen.text, "one|two|");
    line_reader_reset(&reader);
}
END_TEST

START_TEST(reset_forgets_an_unfinished_line)
{
    struct seen seen = {.count = 0};
    struct line_reader reader;

    line_reader_init(&reader, 4, keep, &seen);
    ck_assert(feed(&reader, "ha"));
    line_reader_reset(&reader);
    ck_assert(feed(&reader, "new\n123456"));
    line_reader_reset(&reader); /* in the middle of a dropped line */
    ck_assert(feed(&reader, "also\n"));
    ck_assert_str_eq(seen.text, "new|also|");
    line_reader_reset(&reader);
}
END_TEST

Suite* suite_line_reader(void);

Suite* suite_line_reader(void)
{
    Suite* suite = suite_create("line_reader");
    TCase* tcase = tcase_create("line_reader");

    tcase_add_test(tcase, several_lines_in_one_piece);
    tcase_add_test(tcase, every_way_to_cut_a_text);
    tcase_add_test(tcase, bytes_one_by_one_with_a_nul);
    tcase_add_test(tcase, a_line_of_the_limit_passes);
    tcase_add_test(tcase, a_longer_line_is_dropped_whole_and_the_next_works);
    tcase_add_test(tcase, a_longer_line_in_one_piece_is_dropped);
    tcase_add_test(tcase, memory_is_given_back_after_a_long_line);
    tcase_add_test(tcase, the_callback_can_stop);
    tcase_add_test(tcase, reset_forgets_an_unfinished_line);
    suite_add_tcase(suite, tcase);
    return suite;
}
