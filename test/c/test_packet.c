#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "packet.h"
#include "stop.h"

static int ends[2]; /* of the input: what is read from 0 is written to 1 */
static char content[PACKET_MAX];
static size_t size;

static void set_up(void)
{
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(stop_init(ends[0]), 0);
}

static void tear_down(void)
{
    close(ends[0]);
    if (ends[1] >= 0) {
        close(ends[1]);
    }
}

static void put(const char* bytes, size_t count)
{
    ck_assert_int_eq(write(ends[1], bytes, count), (ssize_t)count);
}

static void end_input(void)
{
    close(ends[1]);
    ends[1] = -1;
}

static int read_one(void)
{
    return packet_read(ends[0], content, &size);
}

/* In a thread of its own: whatever is given it, byte by byte. */
struct slow {
    const char* bytes;
    size_t count;
};

static void* put_slowly(void* arg)
{
    const struct slow* slow = arg;

    for (size_t i = 0; i < slow->count; i++) {
        put(slow->bytes + i, 1);
        usleep(1000);
    }
    return NULL;
}

START_TEST(two_packets_and_the_end)
{
    put("\0\0\0\2ab\0\0\0\1c", 11);
    end_input();
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 2);
    ck_assert_int_eq(memcmp(content, "ab", 2), 0);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 1);
    ck_assert_int_eq(content[0], 'c');
    ck_assert_int_eq(read_one(), PACKET_ENDED);
}
END_TEST

START_TEST(byte_by_byte)
{
    struct slow slow = {"\0\0\0\3abc", 7};
    pthread_t thread;

    pthread_create(&thread, NULL, put_slowly, &slow);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 3);
    ck_assert_int_eq(memcmp(content, "abc", 3), 0);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(an_empty_packet)
{
    put("\0\0\0\0", 4);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 0);
}
END_TEST

static void* put_largest(void* arg)
{
    char* bytes = calloc(1, PACKET_MAX);

    (void)arg;
    put("\0\1\0\0", 4);
    for (size_t at = 0; at < PACKET_MAX; at += 4096) {
        put(bytes, 4096);
    }
    free(bytes);
    return NULL;
}

START_TEST(the_largest_packet)
{
    pthread_t thread;

    pthread_create(&thread, NULL, put_largest, NULL);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, PACKET_MAX);
    pthread_join(thread, NULL);
    put("\0\1\0\1", 4);
    ck_assert_int_eq(read_one(), PACKET_TOO_LARGE);
    put("\377\377\377\377", 4);
    ck_assert_int_eq(read_one(), PACKET_TOO_LARGE);
}
END_TEST

static const struct {
    const char* bytes;
    size_t count;
} cuts[] = {{"\0", 1}, {"\0\0\0", 3}, {"\0\0\0\2", 4}, {"\0\0\0\2a", 5}};

START_TEST(cut_inside_of_one)
{
    put(cuts[_i].bytes, cuts[_i].count);
    end_input();
    ck_assert_int_eq(read_one(), PACKET_CUT);
}
END_TEST

START_TEST(an_input_that_cannot_be_read)
{
    ck_assert_int_eq(stop_init(ends[1]), 0); /* the writing end of a pipe */
    close(ends[0]);
    ck_assert_int_eq(packet_read(ends[1], content, &size), PACKET_FAILED);
    ends[0] = dup(ends[1]);
}
END_TEST

START_TEST(written_as_it_is_read)
{
    ck_assert_int_eq(packet_write(ends[1], "hello", 5), 0);
    ck_assert_int_eq(packet_write(ends[1], "", 0), 0);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(memcmp(content, "hello", 5), 0);
    ck_assert_int_eq(read_one(), 0);
    ck_assert_uint_eq(size, 0);
}
END_TEST

/* SIGPIPE would end the program before the database is closed. */
START_TEST(an_output_without_a_reader)
{
    close(ends[0]);
    ck_assert_int_eq(packet_write(ends[1], "hello", 5), PACKET_FAILED);
    ck_assert_int_eq(errno, EPIPE);
    ends[0] = dup(ends[1]);
}
END_TEST

/* -- the order to end ------------------------------------------------------ */

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

START_TEST(a_signal_that_came_before)
{
    ck_assert_int_eq(raise(signals[_i]), 0);
    ck_assert_int_eq(read_one(), PACKET_ENDED);
    ck_assert(stop_pause(0));
}
END_TEST

static void* signal_soon(void* arg)
{
    (void)arg;
    usleep(20000);
    kill(getpid(), SIGTERM);
    return NULL;
}

START_TEST(a_signal_while_it_waits)
{
    pthread_t thread;

    pthread_create(&thread, NULL, signal_soon, NULL);
    ck_assert_int_eq(read_one(), PACKET_ENDED);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_pause_is_as_long_as_it_is)
{
    int64_t before = clock_now_ms();

    ck_assert(!stop_pause(20));
    ck_assert_int_ge(clock_now_ms() - before, 19);
    put("x", 1); /* a request that waits does not end it */
    ck_assert(!stop_pause(20));
    ck_assert_int_ge(clock_now_ms() - before, 39);
}
END_TEST

static void* end_soon(void* arg)
{
    (void)arg;
    usleep(20000);
    end_input();
    return NULL;
}

START_TEST(a_pause_ends_with_the_input)
{
    pthread_t thread;

    put("x", 1);
    pthread_create(&thread, NULL, end_soon, NULL);
    ck_assert(stop_pause(4000));
    pthread_join(thread, NULL);
    ck_assert(stop_pause(0));
}
END_TEST

Suite* suite_packet(void);

Suite* suite_packet(void)
{
    Suite* suite = suite_create("packet");
    TCase* tcase = tcase_create("packet");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, two_packets_and_the_end);
    tcase_add_test(tcase, byte_by_byte);
    tcase_add_test(tcase, an_empty_packet);
    tcase_add_test(tcase, the_largest_packet);
    tcase_add_loop_test(tcase, cut_inside_of_one, 0, 4);
    tcase_add_test(tcase, an_input_that_cannot_be_read);
    tcase_add_test(tcase, written_as_it_is_read);
    tcase_add_test(tcase, an_output_without_a_reader);
    tcase_add_loop_test(tcase, a_signal_that_came_before, 0, 3);
    tcase_add_test(tcase, a_signal_while_it_waits);
    tcase_add_test(tcase, a_pause_is_as_long_as_it_is);
    tcase_add_test(tcase, a_pause_ends_with_the_input);
    suite_add_tcase(suite, tcase);
    return suite;
}
