/* The whole program, as a process. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "database_fixture.h"
#include "exit_code.h"
#include "packet.h"
#include "port_process.h"
#include "request_terms.h"

#define FAILED(id, code, text) "{" id ",{error,{" code ",<<\"" text "\">>}}}"

static struct database_fixture fixture;
static struct port_process process;
static ei_x_buff x;

static void set_up(void)
{
    database_fixture_set_up(&fixture);
    database_fixture_make(&fixture, false);
    port_process_start(&process);
}

static void tear_down(void)
{
    port_process_end(&process);
    database_fixture_tear_down(&fixture);
}

static void ask_open(const char* mode)
{
    term_open(&x, 1, fixture.path, mode);
    port_process_ask(&process, &x, "{1,ok}");
}

/* It waits for a lock that will not be released, without limit for a test. */
static void send_waiting_write(void)
{
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE");
    term_write_row(&x, 2, "t", &full_row);
    port_process_send(&process, &x);
}

/* -- the requests ---------------------------------------------------------- */

START_TEST(each_request_is_answered)
{
    term_word(&x, 1, "ping");
    port_process_ask(&process, &x, "{1,ok}");
    term_open(&x, 2, fixture.path, "readwrite");
    port_process_ask(&process, &x, "{2,ok}");
    term_read_row(&x, 3, "t");
    port_process_ask(&process, &x, "{3,{ok,none}}");
    term_write_row(&x, 4, "t", &full_row);
    port_process_ask(&process, &x, "{4,ok}");
    term_read_row(&x, 5, "t");
    port_process_ask(&process, &x,
                     "{5,{ok,{<<\"app@10.0.0.1\">>,1700000000,<<\"node-a\">>,"
                     "<<\"00000000deadbeef\">>,1700000000123,<<\"2.0.0\">>}}}");
    term_word(&x, 6, "close");
    port_process_ask(&process, &x, "{6,ok}");
    ck_assert_str_eq(
        database_fixture_value(&fixture, "SELECT node_name FROM t"),
        full_row.node);
}
END_TEST

START_TEST(without_a_database)
{
    term_read_row(&x, 1, "t");
    port_process_ask(&process, &x,
                     FAILED("1", "not_open,0", "no database is open"));
    term_write_row(&x, 2, "t", &full_row);
    port_process_ask(&process, &x,
                     FAILED("2", "not_open,0", "no database is open"));
    term_word(&x, 3, "close");
    port_process_ask(&process, &x, "{3,ok}");
    /* An open that fails leaves nothing open. */
    ask_open("readwrite");
    term_open(&x, 4, fixture.directory, "readwrite");
    port_process_ask(&process, &x,
                     FAILED("4", "not_a_file,0", "it is a directory"));
    term_read_row(&x, 5, "t");
    port_process_ask(&process, &x,
                     FAILED("5", "not_open,0", "no database is open"));
    ck_assert_int_eq(port_process_descriptors(&process), 0);
}
END_TEST

START_TEST(open_again_in_another_mode)
{
    ask_open("query_only");
    term_write_row(&x, 2, "t", &full_row);
    port_process_ask(
        &process, &x,
        FAILED("2", "read_only,0", "the database is open for queries only"));
    ask_open("readwrite");
    ck_assert_int_eq(port_process_descriptors(&process), 1);
    term_write_row(&x, 3, "t", &full_row);
    port_process_ask(&process, &x, "{3,ok}");
    ask_open("query_only");
    ck_assert_int_eq(port_process_descriptors(&process), 1);
    term_write_row(&x, 4, "t", &full_row);
    port_process_ask(
        &process, &x,
        FAILED("4", "read_only,0", "the database is open for queries only"));
}
END_TEST

START_TEST(a_lock_is_waited_for_up_to_the_deadline)
{
    ask_open("readwrite");
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE");
    term_begin(&x, 2, 30);
    ei_x_encode_tuple_header(&x, 2);
    ei_x_encode_atom(&x, "read_row");
    term_text(&x, "t");
    port_process_ask(&process, &x, FAILED("2", "busy,5", "database is locked"));
    database_fixture_sql(&fixture, "COMMIT");
    term_read_row(&x, 3, "t");
    port_process_ask(&process, &x, "{3,{ok,none}}");
}
END_TEST

START_TEST(what_is_no_request_is_told_so)
{
    term_word(&x, 1, "hello");
    port_process_ask(&process, &x,
                     FAILED("1", "bad_request,0",
                            "not a request, or a field out of bounds"));
    term_word(&x, 2, "ping");
    port_process_ask(&process, &x, "{2,ok}");
}
END_TEST

/* Nothing but the database, which it closes, and no directory. */
START_TEST(what_it_has_open)
{
    char path[64];
    char directory[64] = "";

    term_word(&x, 1, "ping");
    port_process_ask(&process, &x, "{1,ok}");
    ck_assert_int_eq(port_process_descriptors(&process), 0);
    ask_open("readwrite");
    ck_assert_int_eq(port_process_descriptors(&process), 1);
    term_word(&x, 2, "close");
    port_process_ask(&process, &x, "{2,ok}");
    ck_assert_int_eq(port_process_descriptors(&process), 0);
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)process.pid);
    ck_assert_int_eq(readlink(path, directory, sizeof directory), 1);
    ck_assert_str_eq(directory, "/");
}
END_TEST

/* -- how it ends ----------------------------------------------------------- */

START_TEST(with_its_input)
{
    if (_i != 0) {
        ask_open("readwrite");
    }
    port_process_close_input(&process);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
    ck_assert_ptr_null(port_process_receive(&process));
}
END_TEST

START_TEST(with_its_input_while_a_request_runs)
{
    ask_open("readwrite");
    send_waiting_write();
    port_process_close_input(&process);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
    ck_assert_ptr_null(port_process_receive(&process));
}
END_TEST

/* What has been sent before the end is done. */
START_TEST(with_its_input_after_all_requests)
{
    term_open(&x, 1, fixture.path, "readwrite");
    port_process_send(&process, &x);
    term_write_row(&x, 2, "t", &full_row);
    port_process_send(&process, &x);
    port_process_close_input(&process);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
    ck_assert_str_eq(
        database_fixture_value(&fixture, "SELECT node_name FROM t"),
        full_row.node);
}
END_TEST

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

START_TEST(with_a_signal)
{
    ask_open("readwrite");
    ck_assert_int_eq(kill(process.pid, signals[_i]), 0);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
}
END_TEST

START_TEST(with_a_signal_while_a_request_runs)
{
    ask_open("readwrite");
    send_waiting_write();
    usleep(10000); /* it may have begun, or not: both are right */
    ck_assert_int_eq(kill(process.pid, signals[_i]), 0);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
}
END_TEST

START_TEST(without_anybody_to_answer)
{
    port_process_close_output(&process);
    term_word(&x, 1, "ping");
    port_process_send(&process, &x);
    ck_assert_int_eq(port_process_wait(&process), EXIT_OUTPUT);
}
END_TEST

static const struct {
    const char* bytes;
    size_t size;
    int code;
} packets[] = {
    {"\0\0\0\0", 4, EXIT_BAD_PACKET},
    {"\0\0\0\1x", 5, EXIT_BAD_PACKET},
    {"\0\1\0\1", 4, EXIT_BAD_PACKET},
    {"\377\377\377\377", 4, EXIT_BAD_PACKET},
    {"GET / HTTP/1.1\r\n\r\n", 18, EXIT_BAD_PACKET},
    {"\0\0\0\1", 4, EXIT_CUT_PACKET},
    {"\0\0", 2, EXIT_CUT_PACKET},
};

START_TEST(with_a_bad_packet)
{
    ask_open("readwrite");
    port_process_send_bytes(&process, packets[_i].bytes, packets[_i].size);
    if (packets[_i].code == EXIT_CUT_PACKET) {
        port_process_close_input(&process);
    }
    ck_assert_int_eq(port_process_wait(&process), packets[_i].code);
}
END_TEST

/* Whatever comes, it ends by itself, with one of its own codes. */
START_TEST(with_random_packets)
{
    char packet[4 + 64];

    srandom((unsigned)_i);
    for (int i = 0; i < 64; i++) {
        packet[4 + i] = (char)random();
    }
    memcpy(packet, "\0\0\0\100\203h\3a\1b\0\0\0\1", 13);
    port_process_send_bytes(&process, packet, sizeof packet);
    port_process_close_input(&process);
    ck_assert_int_eq(port_process_wait(&process), EXIT_ENDED);
}
END_TEST

START_TEST(with_arguments)
{
    int status = system(PORT_PROGRAM " x 2>/dev/null </dev/null");

    ck_assert_int_eq(WEXITSTATUS(status), EXIT_USAGE);
    ck_assert_int_eq(WEXITSTATUS(system(PORT_PROGRAM " </dev/null")),
                     EXIT_ENDED);
}
END_TEST

static void add_ends(TCase* tcase)
{
    tcase_add_loop_test(tcase, with_its_input, 0, 2);
    tcase_add_test(tcase, with_its_input_while_a_request_runs);
    tcase_add_test(tcase, with_its_input_after_all_requests);
    tcase_add_loop_test(tcase, with_a_signal, 0, 3);
    tcase_add_loop_test(tcase, with_a_signal_while_a_request_runs, 0, 3);
    tcase_add_test(tcase, without_anybody_to_answer);
    tcase_add_loop_test(tcase, with_a_bad_packet, 0,
                        sizeof packets / sizeof packets[0]);
    tcase_add_loop_test(tcase, with_random_packets, 0, 20);
    tcase_add_test(tcase, with_arguments);
}

Suite* suite_port(void);

Suite* suite_port(void)
{
    Suite* suite = suite_create("port");
    TCase* tcase = tcase_create("port");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, each_request_is_answered);
    tcase_add_test(tcase, without_a_database);
    tcase_add_test(tcase, open_again_in_another_mode);
    tcase_add_test(tcase, a_lock_is_waited_for_up_to_the_deadline);
    tcase_add_test(tcase, what_is_no_request_is_told_so);
    tcase_add_test(tcase, what_it_has_open);
    add_ends(tcase);
    suite_add_tcase(suite, tcase);
    return suite;
}
