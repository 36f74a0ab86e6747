#include "http_stream.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "info_url.h"

#if LIBCURL_VERSION_NUM < 0x074400
#error "libcurl 7.68 or newer is needed (curl_multi_wakeup)"
#endif

struct transfer {
    CURL* easy;
    bool running;
};

struct http_stream {
    struct http_stream_config config;
    CURLM* multi;
    struct transfer events; /* the long GET */
    struct transfer info;   /* the short one */
    bool opened;            /* complete headers with 200 came */
    bool abandoned;         /* a hook returned false */
    int64_t headers_due_ms;
    char litefs_id[17]; /* of the response being read */
    size_t answer_size; /* of the short GET, also what did not fit */
    char answer[HTTP_ANSWER_MAX];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_once_result;

static void init_curl(void)
{
    curl_once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- curl's callbacks --------------------------------------------------- */

/* Keep the value of "Litefs-Id: <16 hex digits>"; anything else is as good as
 * no header at all. */
static void read_litefs_id(struct http_stream* stream, const char* line,
                           size_t size)
{
    static const char name[] = "Litefs-Id:";
    size_t at = sizeof(name) - 1;
    size_t digits = 0;

    if (size < at || strncasecmp(line, name, at) != 0)
        return;
    while (at < size && (line[at] == ' ' || line[at] == '\t'))
        at++;
    while (at + digits < size && isxdigit((unsigned char)line[at + digits]))
        digits++;
    if (digits == sizeof(stream->litefs_id) - 1)
        memcpy(stream->litefs_id, line + at, digits);
}

/* All headers are here: false ends the transfer. */
static bool headers_complete(struct http_stream* stream)
{
    const struct http_stream_config* config = &stream->config;
    long status = 0;

    curl_easy_getinfo(stream->events.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || stream->opened) /* 100 Continue, or a trailer */
        return true;
    if (status != 200)
        return false;
    stream->opened = true;
    stream->abandoned = !config->opened(config->ctx, stream->litefs_id);
    return !stream->abandoned;
}

static size_t on_header(char* line, size_t one, size_t size, void* ctx)
{
    struct http_stream* stream = ctx;

    (void)one;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        memset(stream->litefs_id, 0, sizeof(stream->litefs_id));
    read_litefs_id(stream, line, size);
    if (size > 0 && (line[0] == '\r' || line[0] == '\n'))
        return headers_complete(stream) ? size : 0;
    return size;
}

static size_t on_bytes(char* bytes, size_t one, size_t size, void* ctx)
{
    struct http_stream* stream = ctx;
    const struct http_stream_config* config = &stream->config;

    (void)one;
    stream->abandoned = !config->bytes(config->ctx, bytes, size);
    return stream->abandoned ? 0 : size;
}

static size_t on_answer(char* bytes, size_t one, size_t size, void* ctx)
{
    struct http_stream* stream = ctx;

    (void)one;
    if (stream->answer_size + size <= HTTP_ANSWER_MAX)
        memcpy(stream->answer + stream->answer_size, bytes, size);
    stream->answer_size += size;
    return size;
}

/* --- set-up ------------------------------------------------------------- */

static void restrict_protocols(CURL* easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                     (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Do not wait for a name server when a transfer is dropped. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static CURL* new_easy(const struct http_stream_config* config, const char* url)
{
    CURL* easy = curl_easy_init();

    if (!easy)
        return NULL;
    if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") != CURLE_OK) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    restrict_protocols(easy);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 10L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)config->connect_timeout_ms);
    return easy;
}

static void set_up_events(struct http_stream* stream)
{
    CURL* easy = stream->events.easy;

    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, stream);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
}

static void set_up_info(struct http_stream* stream)
{
    CURL* easy = stream->info.easy;

    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     (long)stream->config.probe_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
}

int http_stream_open(const struct http_stream_config* config,
                     struct http_stream** result)
{
    pthread_once(&curl_once, init_curl);
    if (curl_once_result != CURLE_OK)
        return -ENOMEM;
    char* info;
    int rc = info_url(config->url, &info);
    if (rc < 0)
        return rc;

    struct http_stream* stream = calloc(1, sizeof(*stream));
    if (!stream)
        goto info;
    stream->config = *config;
    stream->config.url = NULL; /* the caller's */
    stream->multi = curl_multi_init();
    stream->events.easy = new_easy(config, config->url);
    stream->info.easy = new_easy(config, info);
    if (!stream->multi || !stream->events.easy || !stream->info.easy)
        goto stream;
    set_up_events(stream);
    set_up_info(stream);
    free(info);
    *result = stream;
    return 0;

stream:
    http_stream_close(stream);
info:
    free(info);
    return -ENOMEM;
}

void http_stream_close(struct http_stream* stream)
{
    http_stream_drop(stream);
    curl_easy_cleanup(stream->events.easy);
    curl_easy_cleanup(stream->info.easy);
    curl_multi_cleanup(stream->multi);
    free(stream);
}

/* --- transfers ---------------------------------------------------------- */

static int start(struct http_stream* stream, struct transfer* transfer)
{
    if (curl_multi_add_handle(stream->multi, transfer->easy) != CURLM_OK)
        return -ENOMEM;
    transfer->running = true;
    return 0;
}

static void end(struct http_stream* stream, struct transfer* transfer)
{
    if (transfer->running)
        curl_multi_remove_handle(stream->multi, transfer->easy);
    transfer->running = false;
}

int http_stream_connect(struct http_stream* stream)
{
    stream->opened = false;
    stream->abandoned = false;
    stream->headers_due_ms = clock_now_ms() + stream->config.headers_timeout_ms;
    return start(stream, &stream->events);
}

int http_stream_probe(struct http_stream* stream)
{
    if (stream->info.running)
        return 0;
    stream->answer_size = 0;
    return start(stream, &stream->info);
}

void http_stream_drop(struct http_stream* stream)
{
    end(stream, &stream->events);
    end(stream, &stream->info);
}

static enum http_closed closed_reason(const struct http_stream* stream,
                                      CURLcode code)
{
    long status = 0;

    if (stream->abandoned)
        return HTTP_ABANDONED;
    if (stream->opened)
        return code == CURLE_OK ? HTTP_ENDED : HTTP_CUT;
    curl_easy_getinfo(stream->events.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status != 200)
        return HTTP_STATUS;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return HTTP_REFUSED;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMEOUT : HTTP_CUT;
}

static void finish_events(struct http_stream* stream, CURLcode code)
{
    enum http_closed reason = closed_reason(stream, code);

    end(stream, &stream->events);
    stream->config.closed(stream->config.ctx, reason);
}

static void finish_info(struct http_stream* stream, CURLcode code)
{
    long status = 0;

    curl_easy_getinfo(stream->info.easy, CURLINFO_RESPONSE_CODE, &status);
    end(stream, &stream->info);
    bool alive = code == CURLE_OK && status < 500;
    bool whole = status == 200 && stream->answer_size <= HTTP_ANSWER_MAX;
    stream->config.probed(stream->config.ctx, alive, stream->answer,
                          whole ? stream->answer_size : 0);
}

static void finish_transfers(struct http_stream* stream)
{
    CURLMsg* message;
    int left;

    while ((message = curl_multi_info_read(stream->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        if (message->easy_handle == stream->events.easy)
            finish_events(stream, code);
        else
            finish_info(stream, code);
    }
}

/* curl has no timeout for "headers, but not the body". */
static int64_t headers_wait_ms(const struct http_stream* stream)
{
    if (!stream->events.running || stream->opened)
        return INT64_MAX;
    int64_t wait_ms = stream->headers_due_ms - clock_now_ms();
    return wait_ms > 0 ? wait_ms : 0;
}

void http_stream_wait(struct http_stream* stream, int64_t timeout_ms)
{
    int64_t headers_ms = headers_wait_ms(stream);
    int running;

    if (timeout_ms > headers_ms)
        timeout_ms = headers_ms;
    if (timeout_ms > 60000)
        timeout_ms = 60000;
    if (timeout_ms < 0)
        timeout_ms = 0;
    curl_multi_poll(stream->multi, NULL, 0, (int)timeout_ms, NULL);
    curl_multi_perform(stream->multi, &running);
    finish_transfers(stream);
    if (headers_wait_ms(stream) == 0) {
        end(stream, &stream->events);
        stream->config.closed(stream->config.ctx, HTTP_TIMEOUT);
    }
}

void http_stream_wake(struct http_stream* stream)
{
    curl_multi_wakeup(stream->multi);
}
