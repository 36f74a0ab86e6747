/* The transport alone: which end of a GET is reported as what. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fake_litefs.h"
#include "http_stream.h"
#include "info_url.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* What the hooks said. */
struct heard {
    int opened, closed, probed;
    bool alive;
    char body[HTTP_ANSWER_MAX];
    size_t body_size;
    bool abandon_opened, abandon_bytes;
    enum http_closed reason;
    char litefs_id[17];
    char bytes[64];
};

static bool on_opened(void* ctx, const char* litefs_id)
{
    struct heard* heard = ctx;
    heard->opened++;
    strcpy(heard->litefs_id, litefs_id);
    return !heard->abandon_opened;
}

static bool on_bytes(void* ctx, const char* bytes, size_t size)
{
    struct heard* heard = ctx;
    strncat(heard->bytes, bytes, size < 32 ? size : 32);
    return !heard->abandon_bytes;
}

static void on_closed(void* ctx, enum http_closed reason)
{
    struct heard* heard = ctx;
    heard->closed++;
    heard->reason = reason;
}

static void on_probed(void* ctx, bool alive, const char* body, size_t size)
{
    struct heard* heard = ctx;
    heard->probed++;
    heard->body_size = size;
    memcpy(heard->body, body, size);
    heard->alive = alive;
}

static struct fake_litefs* fake;
static struct http_stream* stream;
static struct heard heard;

static void set_up(void)
{
    memset(&heard, 0, sizeof(heard));
    fake = fake_litefs_open();
    const struct http_stream_config config = {
        .url = fake_litefs_url(fake),
        .connect_timeout_ms = 1000,
        .headers_timeout_ms = 200,
        .probe_timeout_ms = 200,
        .opened = on_opened,
        .bytes = on_bytes,
        .closed = on_closed,
        .probed = on_probed,
        .ctx = &heard,
    };
    ck_assert_int_eq(http_stream_open(&config, &stream), 0);
}

static void tear_down(void)
{
    http_stream_close(stream);
    fake_litefs_close(fake);
}

#define AWAIT(condition)                                               \
    do {                                                               \
        int64_t give_up_ = clock_now_ms() + 3000;                      \
        while (!(condition)) {                                         \
            ck_assert_msg(clock_now_ms() < give_up_, "never came: %s", \
                          #condition);                                 \
            http_stream_wait(stream, 100);                             \
        }                                                              \
    } while (0)

#define RAW(text)         \
    {                     \
        FAKE_RAW, text, 0 \
    }
#define HEADERS               \
    {                         \
        FAKE_HEADERS, NULL, 0 \
    }
#define HANG_UP               \
    {                         \
        FAKE_HANG_UP, NULL, 0 \
    }
#define LAST                        \
    {                               \
        FAKE_END_OF_SCRIPT, NULL, 0 \
    }

static const struct ending {
    struct fake_step script[4];
    int opened;
    enum http_closed reason;
} endings[] = {
    {{HEADERS, {FAKE_END, NULL, 0}, LAST}, 1, HTTP_ENDED},
    {{HEADERS, HANG_UP, LAST}, 1, HTTP_CUT},
    {{HEADERS, {FAKE_TEXT, "half", 0}, HANG_UP, LAST}, 1, HTTP_CUT},
    {{HEADERS, RAW("zz\r\n"), LAST}, 1, HTTP_CUT},
    {{HANG_UP, LAST}, 0, HTTP_CUT},
    {{RAW("HTTP/1.1 200 OK\r\n"), HANG_UP, LAST}, 0, HTTP_CUT},
    {{RAW("hello\r\n"), HANG_UP, LAST}, 0, HTTP_CUT},
    {{{FAKE_STATUS, NULL, 500}, LAST}, 0, HTTP_STATUS},
    {{{FAKE_STATUS, NULL, 404}, LAST}, 0, HTTP_STATUS},
    {{{FAKE_STATUS, "Location: /info\r\n", 302}, LAST}, 0, HTTP_STATUS},
    {{RAW("HTTP/1.1 503 No\r\n\r\nfor ever"), LAST}, 0, HTTP_STATUS},
    {{LAST}, 0, HTTP_TIMEOUT},
    {{RAW("HTTP/1.1 200 OK\r\nX: y\r\n"), LAST}, 0, HTTP_TIMEOUT},
    {{RAW("HTTP/1.1 100 Continue\r\n\r\n"), LAST}, 0, HTTP_TIMEOUT},
    {{RAW("HTTP/1.1 100 Continue\r\n\r\n"), HEADERS, HANG_UP, LAST},
     1,
     HTTP_CUT},
};

START_TEST(an_ending_has_its_reason)
{
    const struct ending* ending = &endings[_i];

    fake_litefs_script(fake, ending->script);
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.closed);
    ck_assert_int_eq(heard.opened, ending->opened);
    ck_assert_int_eq(heard.reason, ending->reason);
    ck_assert_int_eq(heard.closed, 1);
    ck_assert_int_eq(fake_litefs_info_requests(fake), 0);
}
END_TEST

START_TEST(refused_and_then_accepted)
{
    fake_litefs_script(fake, FAKE_SCRIPT(HEADERS));
    fake_litefs_refuse(fake);
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.closed);
    ck_assert_int_eq(heard.reason, HTTP_REFUSED);
    fake_litefs_accept(fake);
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.opened);
    ck_assert_int_eq(heard.closed, 1);
}
END_TEST

START_TEST(headers_in_time_end_the_timeout)
{
    fake_litefs_script(fake, FAKE_SCRIPT(HEADERS));
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.opened);
    int64_t until_ms = clock_now_ms() + 400;
    AWAIT(clock_now_ms() >= until_ms);
    ck_assert_int_eq(heard.closed, 0);
}
END_TEST

static const struct id_header {
    const char* header;
    const char* id;
} id_headers[] = {
    {"Litefs-Id: 00C0FFEE00C0FFEE\r\n", "00C0FFEE00C0FFEE"},
    {"litefs-id:\t00C0FFEE00C0FFEE \r\n", "00C0FFEE00C0FFEE"},
    {"Litefs-Id: 00C0FFEE00C0FFEE7\r\n", ""},
    {"Litefs-Id: C0FFEE\r\n", ""},
    {"Litefs-Id:\r\n", ""},
    {"Litefs-Identity: 00C0FFEE00C0FFEE\r\n", ""},
    {"X-Litefs-Id: 00C0FFEE00C0FFEE\r\n", ""},
};

START_TEST(the_id_is_read)
{
    fake_litefs_script(fake,
                       FAKE_SCRIPT({FAKE_HEADERS, id_headers[_i].header, 0}));
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.opened);
    ck_assert_str_eq(heard.litefs_id, id_headers[_i].id);
}
END_TEST

START_TEST(a_hook_can_abandon)
{
    heard.abandon_opened = _i == 0;
    heard.abandon_bytes = _i == 1;
    fake_litefs_script(fake, FAKE_SCRIPT(HEADERS, {FAKE_TEXT, "bytes", 0}));
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.closed);
    ck_assert_int_eq(heard.reason, HTTP_ABANDONED);
    ck_assert_str_eq(heard.bytes, _i == 0 ? "" : "bytes");
}
END_TEST

START_TEST(drop_is_silent_and_allows_another)
{
    fake_litefs_script(fake, FAKE_SCRIPT(HEADERS));
    ck_assert_int_eq(http_stream_connect(stream), 0);
    ck_assert_int_eq(http_stream_probe(stream), 0);
    AWAIT(heard.opened);
    http_stream_drop(stream);
    ck_assert_int_eq(http_stream_connect(stream), 0);
    AWAIT(heard.opened == 2);
    ck_assert_int_eq(heard.closed, 0);
}
END_TEST

static const struct probe {
    enum fake_info info;
    bool alive;
} probes[] = {
    {FAKE_INFO_ANSWER, true},
    {FAKE_INFO_HANG, false},
    {FAKE_INFO_HANG_UP, false},
};

START_TEST(a_probe_says_who_lives)
{
    fake_litefs_info(fake, probes[_i].info);
    ck_assert_int_eq(http_stream_probe(stream), 0);
    AWAIT(heard.probed);
    ck_assert_int_eq(heard.alive, probes[_i].alive);
    ck_assert_int_eq(heard.closed, 0);
}
END_TEST

/* Around the longest one that is kept. */
START_TEST(a_probe_brings_a_body_that_is_not_too_long)
{
    static char body[HTTP_ANSWER_MAX + 2];
    size_t size = (size_t)(HTTP_ANSWER_MAX - 1 + _i);
    size_t kept = size <= HTTP_ANSWER_MAX ? size : 0;

    memset(body, 'x', size);
    fake_litefs_info_body(fake, body);
    ck_assert_int_eq(http_stream_probe(stream), 0);
    AWAIT(heard.probed == 1);
    ck_assert(heard.alive);
    ck_assert_uint_eq(heard.body_size, kept);
    ck_assert_mem_eq(heard.body, body, kept);
    fake_litefs_info_body(fake, "{}"); /* nothing of the last one is left */
    ck_assert_int_eq(http_stream_probe(stream), 0);
    AWAIT(heard.probed == 2);
    ck_assert_uint_eq(heard.body_size, 2);
    ck_assert_mem_eq(heard.body, "{}", 2);
}
END_TEST

/* --- the URL beside ----------------------------------------------------- */

static const struct url {
    const char* events;
    const char* info; /* NULL = refused */
} urls[] = {
    {"http://localhost:20202/events", "http://localhost:20202/info"},
    {"http://localhost:20202", "http://localhost:20202/info"},
    {"https://h/litefs/events?a=b#c", "https://h/litefs/info"},
    {"http://[::1]:1/x/", "http://[::1]:1/x/info"},
    {"HTTP://h/events", "http://h/info"},
    {"ftp://h/events", NULL},
    {"file:///etc/passwd", NULL},
    {"localhost:20202/events", NULL},
    {"/events", NULL},
    {"", NULL},
};

START_TEST(info_lies_beside_events)
{
    char* info = NULL;
    int rc = info_url(urls[_i].events, &info);

    ck_assert_int_eq(rc, urls[_i].info ? 0 : -EINVAL);
    ck_assert_pstr_eq(info, urls[_i].info);
    free(info);
}
END_TEST

Suite* suite_http_stream(void);

Suite* suite_http_stream(void)
{
    Suite* suite = suite_create("http_stream");
    TCase* tcase = tcase_create("transport");
    TCase* url = tcase_create("url");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, an_ending_has_its_reason, 0, COUNT(endings));
    tcase_add_test(tcase, refused_and_then_accepted);
    tcase_add_test(tcase, headers_in_time_end_the_timeout);
    tcase_add_loop_test(tcase, the_id_is_read, 0, COUNT(id_headers));
    tcase_add_loop_test(tcase, a_hook_can_abandon, 0, 2);
    tcase_add_test(tcase, drop_is_silent_and_allows_another);
    tcase_add_loop_test(tcase, a_probe_says_who_lives, 0, COUNT(probes));
    tcase_add_loop_test(tcase, a_probe_brings_a_body_that_is_not_too_long, 0,
                        3);
    suite_add_tcase(suite, tcase);

    tcase_add_loop_test(url, info_lies_beside_events, 0, COUNT(urls));
    suite_add_tcase(suite, url);
    return suite;
}
