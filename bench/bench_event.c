/*
 * How long from the bytes of an event on the socket until every caller sees
 * the new role, against a bare libcurl reader of the same line?
 *
 * Both readers run in this process and read the same server, in turns, so that
 * a noisy machine disturbs both alike. The sending thread takes the time and
 * spins: on status_cell_role(), which is what a caller's NIF reads, and on a
 * counter that the write callback of the bare reader moves.
 *
 * Prints one line: events, median of ours, median of the bare reader, and the
 * 99th percentiles of both, in microseconds.
 */
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "detector.h"

enum { EVENTS = 2000 };
static const double TOO_LATE_US = 5e6;

static void die(const char* what)
{
    perror(what);
    exit(111);
}

/* ---- the server: one /events connection for each reader ---- */

enum reader { OURS, BARE, READERS };

static int listener;
static atomic_int events_fd[READERS]; /* 0 while it is not connected */

static const char HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "Litefs-Id: 0123456789ABCDEF\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char INFO[] =
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    "{\"isPrimary\":true,\"primary\":{\"hostname\":\"node-a\"}}";
static const char INIT[] = "{\"type\":\"init\",\"data\":{\"isPrimary\":true}}";
static const char PROMOTED[] =
    "{\"type\":\"primaryChange\",\"data\":{\"isPrimary\":true}}";
static const char DEMOTED[] =
    "{\"type\":\"primaryChange\","
    "\"data\":{\"isPrimary\":false,\"hostname\":\"node-b\"}}";

static void send_all(int fd, const char* bytes, size_t size)
{
    if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send");
}

static void send_line(int fd, const char* line)
{
    char chunk[256];
    int size = snprintf(chunk, sizeof chunk, "%zx\r\n%s\n\r\n",
                        strlen(line) + 1, line);
    send_all(fd, chunk, (size_t)size);
}

static void answer(int fd, const char* request)
{
    int on = 1;
    if (strstr(request, "/info") != NULL) {
        send_all(fd, INFO, sizeof INFO - 1);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    send_all(fd, HEAD, sizeof HEAD - 1);
    send_line(fd, INIT);
    events_fd[strstr(request, "?bare") != NULL ? BARE : OURS] = fd;
}

static void* serve(void* unused)
{
    int fd;
    (void)unused;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        char request[2048];
        ssize_t size = recv(fd, request, sizeof request - 1, 0);
        if (size <= 0)
            die("a request");
        request[size] = '\0';
        answer(fd, request);
    }
    return NULL;
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr*)&address, size) != 0 ||
        listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr*)&address, &size) != 0)
        die("listen on 127.0.0.1");
    return ntohs(address.sin_port);
}

/* ---- the bare reader ---- */

static atomic_uint bare_lines;

static size_t count_lines(char* bytes, size_t size, size_t n, void* unused)
{
    (void)unused;
    if (memchr(bytes, '\n', size * n) != NULL)
        atomic_fetch_add(&bare_lines, 1);
    return size * n;
}

static void* read_bare(void* url)
{
    CURL* curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count_lines);
    curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return NULL;
}

/* ---- measuring ---- */

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void check_time(double start_us, const char* what)
{
    if (now_us() - start_us < TOO_LATE_US)
        return;
    fprintf(stderr, "bench_event: %s did not come within 5 s\n", what);
    exit(1);
}

static double measure_ours(struct status_cell* cell, bool primary)
{
    enum role role = primary ? ROLE_PRIMARY : ROLE_REPLICA;
    double start = now_us();
    send_line(events_fd[OURS], primary ? PROMOTED : DEMOTED);
    while (status_cell_role(cell) != role)
        check_time(start, "a role");
    return now_us() - start;
}

static double measure_bare(bool primary)
{
    unsigned before = atomic_load(&bare_lines);
    double start = now_us();
    send_line(events_fd[BARE], primary ? PROMOTED : DEMOTED);
    while (atomic_load(&bare_lines) == before)
        check_time(start, "a line at the bare reader");
    return now_us() - start;
}

/* Between events both readers go back to sleep, as they do in life. */
static void settle(void)
{
    usleep(500);
}

static void wait_until_ready(struct status_cell* cell)
{
    double start = now_us();
    while (events_fd[OURS] == 0 || events_fd[BARE] == 0 ||
           atomic_load(&bare_lines) == 0 ||
           status_cell_role(cell) != ROLE_PRIMARY) {
        check_time(start, "the init event");
        usleep(1000);
    }
}

static void measure(struct status_cell* cell, double* ours, double* bare)
{
    bool primary = true;
    for (int i = 0; i < EVENTS; i++) {
        primary = !primary;
        ours[i] = measure_ours(cell, primary);
        settle();
        bare[i] = measure_bare(primary);
        settle();
    }
}

static int by_value(const void* a, const void* b)
{
    double x = *(const double*)a;
    double y = *(const double*)b;
    return (x > y) - (x < y);
}

static void print(double* ours, double* bare)
{
    qsort(ours, EVENTS, sizeof *ours, by_value);
    qsort(bare, EVENTS, sizeof *bare, by_value);
    printf("%d %.3f %.3f %.3f %.3f\n", EVENTS, ours[EVENTS / 2],
           bare[EVENTS / 2], ours[EVENTS * 99 / 100], bare[EVENTS * 99 / 100]);
}

static struct detector* open_detector(const char* file, const char* url)
{
    struct detector* detector;
    const struct status_cell_hooks hooks = {0};
    const struct detector_config config = {.primary_file = file,
                                           .events_url = url,
                                           .poll_interval_ms = 30000,
                                           .mode = MODE_PLAIN};
    if (detector_open(&config, &hooks, &detector) != 0)
        die("detector_open");
    return detector;
}

int main(void)
{
    static double ours[EVENTS], bare[EVENTS];
    char directory[] = "/tmp/bench_event_XXXXXX";
    char file[64], url[64], bare_url[80];
    pthread_t thread;

    if (mkdtemp(directory) == NULL)
        die("mkdtemp");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    snprintf(file, sizeof file, "%s/.primary", directory);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/events",
             listen_on_loopback());
    snprintf(bare_url, sizeof bare_url, "%s?bare", url);
    pthread_create(&thread, NULL, serve, NULL);
    pthread_create(&thread, NULL, read_bare, bare_url);

    struct detector* detector = open_detector(file, url);
    wait_until_ready(detector_cell(detector));
    measure(detector_cell(detector), ours, bare);
    print(ours, bare);
    detector_close(detector);
    rmdir(directory);
    return 0;
}
