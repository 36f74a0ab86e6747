#include <check.h>

#include "backoff.h"

START_TEST(doubles_from_50_ms_to_1_s)
{
    const int64_t expected[] = {50, 100, 200, 400, 800, 1000, 1000};
    struct backoff backoff;

    backoff_init(&backoff);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ck_assert_int_eq(backoff_next(&backoff, 0, 0), expected[i]);
}
END_TEST

START_TEST(random_shortens_by_a_quarter_at_the_most)
{
    int64_t least = BACKOFF_FIRST_MS, most = 0;

    for (uint32_t random = 0; random < 1000; random++) {
        struct backoff backoff;
        backoff_init(&backoff);
        int64_t wait_ms = backoff_next(&backoff, 0, random * 2654435761u);
        least = wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    ck_assert_int_eq(least, 38);
    ck_assert_int_eq(most, 50);
}
END_TEST

START_TEST(random_does_not_change_the_next_wait)
{
    struct backoff backoff;

    backoff_init(&backoff);
    backoff_next(&backoff, 0, 7);
    ck_assert_int_eq(backoff_next(&backoff, 0, 0), 100);
}
END_TEST

START_TEST(a_good_connection_brings_the_first_wait_back)
{
    struct backoff backoff;

    backoff_init(&backoff);
    for (int i = 0; i < 10; i++)
        backoff_next(&backoff, 0, 0);
    ck_assert_int_eq(backoff_next(&backoff, BACKOFF_GOOD_MS - 1, 0), 1000);
    ck_assert_int_eq(backoff_next(&backoff, BACKOFF_GOOD_MS, 0), 50);
    ck_assert_int_eq(backoff_next(&backoff, 0, 0), 100);
}
END_TEST

Suite* suite_backoff(void);

Suite* suite_backoff(void)
{
    Suite* suite = suite_create("backoff");
    TCase* tcase = tcase_create("backoff");

    tcase_add_test(tcase, doubles_from_50_ms_to_1_s);
    tcase_add_test(tcase, random_shortens_by_a_quarter_at_the_most);
    tcase_add_test(tcase, random_does_not_change_the_next_wait);
    tcase_add_test(tcase, a_good_connection_brings_the_first_wait_back);
    suite_add_tcase(suite, tcase);
    return suite;
}
