#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"
#include "reply_text.h"
#include "request_terms.h"

#define X16 "xxxxxxxxxxxxxxxx"
#define X63 X16 X16 X16 "xxxxxxxxxxxxxxx"

static char reply[REPLY_MAX];

static void check_text(size_t size, const char* wanted)
{
    ck_assert_uint_le(size, REPLY_MAX);
    ck_assert_str_eq(reply_text(reply, size), wanted);
}

START_TEST(ok)
{
    check_text(reply_ok(reply, 7), "{7,ok}");
    check_text(reply_ok(reply, UINT64_MAX), "{18446744073709551615,ok}");
}
END_TEST

START_TEST(a_row)
{
    check_text(reply_row(reply, 7, &full_row),
               "{7,{ok,{<<\"app@10.0.0.1\">>,1700000000,<<\"node-a\">>,"
               "<<\"00000000deadbeef\">>,1700000000123,<<\"2.0.0\">>}}}");
}
END_TEST

START_TEST(no_row)
{
    check_text(reply_row(reply, 7, NULL), "{7,{ok,none}}");
}
END_TEST

START_TEST(the_largest_row)
{
    struct row row;

    memset(&row, 'x', sizeof row);
    row.node[ROW_NODE_MAX] = '\0';
    row.hostname[ROW_HOSTNAME_MAX] = '\0';
    row.term[ROW_TERM_SIZE] = '\0';
    row.version[ROW_VERSION_MAX] = '\0';
    row.updated_at = row.started_at = INT64_MIN;
    check_text(reply_row(reply, UINT64_MAX, &row),
               "{18446744073709551615,{ok,{<<1020>>,"
               "-9223372036854775808,<<255>>,<<\"" X16
               "\">>,"
               "-9223372036854775808,<<\"" X63 "\">>}}}");
}
END_TEST

START_TEST(a_failure)
{
    struct failure failure;

    ck_assert_int_eq(
        failure_set(&failure, FAILURE_BUSY, 261, "database is locked"),
        FAILURE_BUSY);
    check_text(reply_failure(reply, 7, &failure),
               "{7,{error,{busy,261,<<\"database is locked\">>}}}");
}
END_TEST

START_TEST(the_longest_failure)
{
    char text[1000];
    struct failure failure;

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    failure_set(&failure, FAILURE_NOT_A_DATABASE, INT32_MIN, text);
    check_text(reply_failure(reply, UINT64_MAX, &failure),
               "{18446744073709551615,{error,{not_a_database,"
               "-2147483648,<<255>>}}}");
}
END_TEST

START_TEST(every_failure_has_a_name_of_its_own)
{
    for (int a = FAILURE_STOPPED; a < 0; a++) {
        const char* name = failure_name((enum failure_code)a);
        ck_assert_uint_gt(strlen(name), 0);
        for (int b = a + 1; b < 0; b++) {
            ck_assert_str_ne(name, failure_name((enum failure_code)b));
        }
    }
}
END_TEST

Suite* suite_reply(void);

Suite* suite_reply(void)
{
    Suite* suite = suite_create("reply");
    TCase* tcase = tcase_create("reply");

    tcase_add_test(tcase, ok);
    tcase_add_test(tcase, a_row);
    tcase_add_test(tcase, no_row);
    tcase_add_test(tcase, the_largest_row);
    tcase_add_test(tcase, a_failure);
    tcase_add_test(tcase, the_longest_failure);
    tcase_add_test(tcase, every_failure_has_a_name_of_its_own);
    suite_add_tcase(suite, tcase);
    return suite;
}
