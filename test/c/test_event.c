#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct event parse(const char* line)
{
    struct event event;
    event_parse(line, strlen(line), &event);
    return event;
}

/* A line with a name of `size` letters in the middle. */
static struct event parse_with_name(const char* before, size_t size,
                                    const char* after)
{
    char name[512], line[1024];

    memset(name, 'n', size);
    name[size] = '\0';
    snprintf(line, sizeof(line), "%s%s%s", before, name, after);
    return parse(line);
}

/* --- what LiteFS says --------------------------------------------------- */

START_TEST(init_on_the_primary)
{
    struct event e = parse("{\"type\":\"init\",\"data\":{\"isPrimary\":true}}");

    ck_assert_int_eq(e.type, EVENT_INIT);
    ck_assert(e.primary.is_primary);
    ck_assert_str_eq(e.primary.hostname, "");
}
END_TEST

START_TEST(init_on_a_replica)
{
    struct event e = parse(
        "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
        "\"hostname\":\"node-a\"}}\r");

    ck_assert_int_eq(e.type, EVENT_INIT);
    ck_assert(!e.primary.is_primary);
    ck_assert_str_eq(e.primary.hostname, "node-a");
}
END_TEST

START_TEST(primary_change_without_hostname)
{
    struct event e =
        parse("{\"type\":\"primaryChange\",\"data\":{\"isPrimary\":false}}");

    ck_assert_int_eq(e.type, EVENT_PRIMARY_CHANGE);
    ck_assert(!e.primary.is_primary);
    ck_assert_str_eq(e.primary.hostname, "");
}
END_TEST

START_TEST(tx)
{
    struct event e = parse(
        "{\"type\":\"tx\",\"db\":\"app.db\",\"data\":{"
        "\"txID\":\"0000000000000027\","
        "\"postApplyChecksum\":\"83b05248774ce767\",\"pageSize\":4096,"
        "\"commit\":2,\"timestamp\":\"2023-09-06T19:12:34.985Z\"}}");

    ck_assert_int_eq(e.type, EVENT_TX);
    ck_assert_str_eq(e.position.db, "app.db");
    ck_assert_uint_eq(e.position.txid, 0x27);
    ck_assert_uint_eq(e.position.checksum, 0x83b05248774ce767);
}
END_TEST

START_TEST(escapes_are_decoded)
{
    struct event e = parse(
        "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
        "\"hostname\":\"\\u003ca\\u0026b\\u003e\"}}");

    ck_assert_int_eq(e.type, EVENT_INIT);
    ck_assert_str_eq(e.primary.hostname, "<a&b>");
}
END_TEST

START_TEST(the_longest_hostname)
{
    const char* before =
        "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":\"";
    struct event e = parse_with_name(before, HOSTNAME_MAX, "\"}}");

    ck_assert_int_eq(e.type, EVENT_INIT);
    ck_assert_uint_eq(strlen(e.primary.hostname), HOSTNAME_MAX);
    e = parse_with_name(before, HOSTNAME_MAX + 1, "\"}}");
    ck_assert_int_eq(e.type, EVENT_MALFORMED);
}
END_TEST

START_TEST(the_longest_database_name)
{
    const char* before = "{\"type\":\"tx\",\"db\":\"";
    const char* after =
        "\",\"data\":{\"txID\":\"0000000000000001\","
        "\"postApplyChecksum\":\"ffffffffffffffff\"}}";
    struct event e = parse_with_name(before, DB_NAME_MAX, after);

    ck_assert_int_eq(e.type, EVENT_TX);
    ck_assert_uint_eq(e.position.checksum, UINT64_MAX);
    e = parse_with_name(before, DB_NAME_MAX + 1, after);
    ck_assert_int_eq(e.type, EVENT_IGNORED);
}
END_TEST

/* --- what a later LiteFS may say ---------------------------------------- */

static const char* const ignored[] = {
    "",
    " \t\r",
    "{\"type\":\"heartbeat\"}",
    "{\"type\":\"\",\"data\":7}",
    "{\"type\":\"INIT\",\"data\":{\"isPrimary\":true}}",
    "{\"data\":[[[{}]]],\"type\":\"new\\u0020kind\"}",
};

START_TEST(is_ignored)
{
    ck_assert_int_eq(parse(ignored[_i]).type, EVENT_IGNORED);
}
END_TEST

#define BIG "18446744073709551616" /* does not fit into 64 bits */

static const char* const with_unknown_fields[] = {
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true,\"x\":{\"y\":[1]}}}",
    "{\"v\":2,\"type\":\"init\",\"data\":{\"isPrimary\":true},\"z\":null}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true},\"n\":" BIG "}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true},\"nul\":\"\\u0000\"}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true},\"s\":\"[[[\\\"{{\"}",
};

START_TEST(unknown_fields_are_ignored)
{
    struct event e = parse(with_unknown_fields[_i]);

    ck_assert_int_eq(e.type, EVENT_INIT);
    ck_assert(e.primary.is_primary);
}
END_TEST

/* --- nonsense ----------------------------------------------------------- */

#define TX_DATA(txid, checksum) \
    "\"data\":{\"txID\":" txid ",\"postApplyChecksum\":" checksum "}}"
#define GOOD "\"00000000000000aa\""

static const char* const malformed[] = {
    "{",
    "}",
    "null",
    "[]",
    "\"init\"",
    "<html><body>It works!</body></html>",
    "{}",
    "{\"type\":null}",
    "{\"type\":7}",
    "{\"type\":\"init\"}",
    "{\"type\":\"init\",\"data\":null}",
    "{\"type\":\"init\",\"data\":[]}",
    "{\"type\":\"init\",\"data\":{}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":1}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":\"true\"}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":null}}",
    "{\"type\":\"init\",\"data\":{\"hostname\":\"a\"}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true}}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":true}} x",
    "{\"type\":\"init\",\"isPrimary\":true}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":7}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":null}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":[\"a\"]}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
    "\"hostname\":\"a\\u000ab\"}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
    "\"hostname\":\"a\\u0000b\"}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":\"\x7f\"}}",
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,\"hostname\":\"\xff\"}}",
    "{\"type\":\"in\\u0000it\",\"data\":{\"isPrimary\":true}}",
    "{\"type\":\"primaryChange\",\"data\":{\"hostname\":\"a\"}}",
    "{\"type\":\"tx\"}",
    "{\"type\":\"tx\"," TX_DATA(GOOD, GOOD),
    "{\"type\":\"tx\",\"db\":\"\"," TX_DATA(GOOD, GOOD),
    "{\"type\":\"tx\",\"db\":7," TX_DATA(GOOD, GOOD),
    "{\"type\":\"tx\",\"db\":\"a\\u0000b\"," TX_DATA(GOOD, GOOD),
    "{\"type\":\"tx\",\"db\":\"a\",\"data\":{\"txID\":" GOOD "}}",
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("39", GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("\"0aa\"", GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("\"00000000000000AA\"", GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("\"00000000000000aa0\"", GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("\"0000000000000 aa\"", GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA("\"000000000000\\u0000aaa\"",
                                             GOOD),
    "{\"type\":\"tx\",\"db\":\"a\"," TX_DATA(GOOD, "\"0x000000000000aa\""),
};

START_TEST(is_malformed)
{
    ck_assert_int_eq(parse(malformed[_i]).type, EVENT_MALFORMED);
}
END_TEST

START_TEST(a_good_line_is_malformed_wherever_it_is_cut)
{
    const char* line =
        "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
        "\"hostname\":\"node-a\"}}";
    struct event event;

    for (size_t size = 1; size < strlen(line); size++) {
        event_parse(line, size, &event);
        ck_assert_int_eq(event.type, EVENT_MALFORMED);
    }
}
END_TEST

START_TEST(a_raw_nul_is_malformed)
{
    const char line[] = "{\"type\":\"init\",\"data\":{\"isPrimary\":true}}\0";
    struct event event;

    event_parse(line, sizeof(line) - 1, &event);
    ck_assert_int_eq(event.type, EVENT_MALFORMED);
    event_parse("\0", 1, &event);
    ck_assert_int_eq(event.type, EVENT_MALFORMED);
}
END_TEST

START_TEST(deep_nesting_is_malformed)
{
    size_t depth = 500000;
    char* line = malloc(2 * depth);
    struct event event;

    ck_assert_ptr_nonnull(line);
    memset(line, '[', depth);
    memset(line + depth, ']', depth);
    event_parse(line, 2 * depth, &event);
    ck_assert_int_eq(event.type, EVENT_MALFORMED);
    free(line);
}
END_TEST

/* --- the body of /info -------------------------------------------------- */

START_TEST(info_of_a_primary_names_the_node)
{
    const char body[] =
        "{\n  \"clusterID\": \"LFSC0123456789ABCDEF\",\n"
        "  \"isPrimary\": true,\n  \"candidate\": true,\n"
        "  \"path\": \"/litefs\",\n"
        "  \"primary\": {\n    \"hostname\": \"node-a\"\n  }\n}\n";
    char hostname[HOSTNAME_MAX + 1] = "";

    ck_assert(event_parse_info(body, strlen(body), hostname));
    ck_assert_str_eq(hostname, "node-a");
}
END_TEST

static const char* const nameless[] = {
    "",
    "not found\n",
    "[]",
    "true",
    "{}",
    "{\"isPrimary\":true}",
    "{\"isPrimary\":true,\"primary\":null}",
    "{\"isPrimary\":true,\"primary\":\"node-a\"}",
    "{\"isPrimary\":true,\"primary\":{}}",
    "{\"isPrimary\":true,\"primary\":{\"hostname\":\"\"}}",
    "{\"isPrimary\":true,\"primary\":{\"hostname\":7}}",
    "{\"isPrimary\":true,\"primary\":{\"hostname\":\"a\\u0000b\"}}",
    "{\"isPrimary\":true,\"primary\":{\"hostname\":\"a\\nb\"}}",
    "{\"isPrimary\":true,\"primary\":{\"hostname\":\"node-a\"}",
    /* a replica is told the primary's */
    "{\"isPrimary\":false,\"primary\":{\"hostname\":\"node-a\"}}",
    "{\"isPrimary\":\"true\",\"primary\":{\"hostname\":\"node-a\"}}",
    "{\"isPrimary\":1,\"primary\":{\"hostname\":\"node-a\"}}",
    "{\"primary\":{\"hostname\":\"node-a\"}}",
};

START_TEST(anything_else_names_nobody)
{
    char hostname[HOSTNAME_MAX + 1] = "untouched";

    ck_assert(!event_parse_info(nameless[_i], strlen(nameless[_i]), hostname));
    ck_assert_str_eq(hostname, "untouched");
}
END_TEST

START_TEST(info_keeps_the_longest_hostname_and_no_longer_one)
{
    char hostname[HOSTNAME_MAX + 1], body[512];

    for (int size = HOSTNAME_MAX; size <= HOSTNAME_MAX + 1; size++) {
        snprintf(body, sizeof(body),
                 "{\"isPrimary\":true,\"primary\":{\"hostname\":\"%0*d\"}}",
                 size, 0);
        ck_assert_int_eq(event_parse_info(body, strlen(body), hostname),
                         size == HOSTNAME_MAX);
    }
    ck_assert_uint_eq(strlen(hostname), HOSTNAME_MAX);
}
END_TEST

Suite* suite_event(void);

Suite* suite_event(void)
{
    Suite* suite = suite_create("event");
    TCase* tcase = tcase_create("event");

    tcase_add_test(tcase, init_on_the_primary);
    tcase_add_test(tcase, init_on_a_replica);
    tcase_add_test(tcase, primary_change_without_hostname);
    tcase_add_test(tcase, tx);
    tcase_add_test(tcase, escapes_are_decoded);
    tcase_add_test(tcase, the_longest_hostname);
    tcase_add_test(tcase, the_longest_database_name);
    tcase_add_loop_test(tcase, is_ignored, 0, COUNT(ignored));
    tcase_add_loop_test(tcase, unknown_fields_are_ignored, 0,
                        COUNT(with_unknown_fields));
    tcase_add_loop_test(tcase, is_malformed, 0, COUNT(malformed));
    tcase_add_test(tcase, a_good_line_is_malformed_wherever_it_is_cut);
    tcase_add_test(tcase, a_raw_nul_is_malformed);
    tcase_add_test(tcase, deep_nesting_is_malformed);
    tcase_add_test(tcase, info_of_a_primary_names_the_node);
    tcase_add_loop_test(tcase, anything_else_names_nobody, 0, COUNT(nameless));
    tcase_add_test(tcase, info_keeps_the_longest_hostname_and_no_longer_one);
    suite_add_tcase(suite, tcase);
    return suite;
}
