#include <check.h>
#include <errno.h>
#include <string.h>

#include "position.h"

#define TEXT "00000000000000ff/8b27a1f0c0ffee00\n"

static const struct position SOME = {0xff, 0x8b27a1f0c0ffee00};

START_TEST(parse_takes_what_litefs_writes)
{
    struct position position;

    ck_assert_int_eq(position_parse(TEXT, POSITION_SIZE, &position), 0);
    ck_assert_uint_eq(position.txid, SOME.txid);
    ck_assert_uint_eq(position.checksum, SOME.checksum);
}
END_TEST

START_TEST(parse_takes_all_64_bits)
{
    struct position position;

    ck_assert_int_eq(position_parse("ffffffffffffffff/ffffffffffffffff\n",
                                    POSITION_SIZE, &position),
                     0);
    ck_assert_uint_eq(position.txid, UINT64_MAX);
    ck_assert_uint_eq(position.checksum, UINT64_MAX);
}
END_TEST

static const char* const WRONG[] = {
    "",
    "00000000000000ff/8b27a1f0c0ffee00",    /* cut */
    "00000000000000ff/8b27a1f0c0ffee00\nx", /* longer */
    "00000000000000ff-8b27a1f0c0ffee00\n",
    "00000000000000ff/8b27a1f0c0ffee00 ",
    "0x000000000000ff/8b27a1f0c0ffee00\n",
    "               1/8b27a1f0c0ffee00\n",
    "+0000000000000ff/8b27a1f0c0ffee00\n",
    "00000000000000FF/8b27a1f0c0ffee00\n", /* LiteFS writes lower case */
    "00000000000000ff/8b27a1f0c0ffee0g\n",
};

START_TEST(parse_refuses_the_rest)
{
    struct position position = SOME;
    const char* text = WRONG[_i];

    ck_assert_int_eq(position_parse(text, strlen(text), &position), -EBADMSG);
    ck_assert_uint_eq(position.txid, SOME.txid);
}
END_TEST

START_TEST(format_is_the_inverse_of_parse)
{
    char text[POSITION_SIZE + 1];

    position_format(&SOME, text);
    ck_assert_str_eq(text, TEXT);
}
END_TEST

START_TEST(compare_goes_by_txid_then_checksum)
{
    struct position less = {0xfe, UINT64_MAX};
    struct position more = {0x100, 0};
    struct position fork = {0xff, 1};

    ck_assert_int_eq(position_compare(&less, &SOME), POSITION_BEFORE);
    ck_assert_int_eq(position_compare(&more, &SOME), POSITION_AFTER);
    ck_assert_int_eq(position_compare(&SOME, &SOME), POSITION_SAME);
    ck_assert_int_eq(position_compare(&fork, &SOME), POSITION_FORKED);
}
END_TEST

Suite* suite_position(void);
Suite* suite_position(void)
{
    Suite* suite = suite_create("position");
    TCase* tcase = tcase_create("position");

    tcase_add_test(tcase, parse_takes_what_litefs_writes);
    tcase_add_test(tcase, parse_takes_all_64_bits);
    tcase_add_loop_test(tcase, parse_refuses_the_rest, 0,
                        (int)(sizeof WRONG / sizeof *WRONG));
    tcase_add_test(tcase, format_is_the_inverse_of_parse);
    tcase_add_test(tcase, compare_goes_by_txid_then_checksum);
    suite_add_tcase(suite, tcase);
    return suite;
}
