/*
 * Runs every suite: each test in its own process (CK_FORK=no for a debugger),
 * with a limit of five seconds (CK_TIMEOUT_MULTIPLIER to stretch it).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* suites.h is made by the Makefile: one SUITE(name) for each test_name.c. */
#define SUITE(name) Suite* suite_##name(void);
#include "suites.h"
#undef SUITE

static void add_suites(SRunner* runner)
{
#define SUITE(name) srunner_add_suite(runner, suite_##name());
#include "suites.h"
#undef SUITE
}

int main(void)
{
    /* Read by tcase_create(), so it has to be set before any suite is made. */
    if (setenv("CK_DEFAULT_TIMEOUT", "5", 0) != 0)
        return EXIT_FAILURE;
    SRunner* runner = srunner_create(NULL);
    add_suites(runner);
    srunner_run_all(runner, CK_NORMAL);
    int run = srunner_ntests_run(runner);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    printf("C tests: %d run, %d failed\n", run, failed);
    /* A run that finds no test proves nothing. */
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
