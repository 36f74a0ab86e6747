/*
 * How long does event_parse() take for a line of LiteFS, against jansson alone?
 *
 * Both parse the same lines, in blocks that take turns. Prints one line: how
 * many lines each of them parsed, and the medians in microseconds for a line.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"

enum { BLOCKS = 201, ROUNDS = 50 };

/* As LiteFS v0.5.14 writes them; a stream is made of transactions. */
static const char* const lines[] = {
    "{\"type\":\"init\",\"data\":{\"isPrimary\":false,"
    "\"hostname\":\"node-a\"}}",
    "{\"type\":\"primaryChange\",\"data\":{\"isPrimary\":true}}",
#define TX(txid, checksum, commit, timestamp)                       \
    "{\"type\":\"tx\",\"db\":\"app.db\",\"data\":{\"txID\":\"" txid \
    "\",\"postApplyChecksum\":\"" checksum                          \
    "\",\"pageSize\":4096,"                                         \
    "\"commit\":" commit ",\"timestamp\":\"" timestamp "\"}}"
    TX("0000000000000001", "83b05248774ce767", "2", "2026-11-26T19:12:34.985Z"),
    TX("0000000000000027", "f1d0c2a37b6e5948", "2", "2026-11-26T19:12:35.001Z"),
    TX("0000000000000028", "9e0f3a5b7c8d1246", "3", "2026-11-26T19:12:35.017Z"),
    TX("00000000000013ff", "b6a7980f1e2d3c4b", "120", "2026-11-26T19:40:02.5Z"),
    TX("0000000000001400", "c7d6e5f403122130", "120",
       "2026-11-26T19:40:02.512Z"),
    TX("000000000004e2a1", "8899aabbccddeeff", "25431", "2026-11-27T00:00:00Z"),
};
enum { LINES = sizeof lines / sizeof lines[0] };

static void die(const char* what)
{
    fprintf(stderr, "bench_parse: %s\n", what);
    exit(111);
}

static void parse_ours(const char* line, size_t size)
{
    struct event event;

    event_parse(line, size, &event);
    if (event.type == EVENT_MALFORMED || event.type == EVENT_IGNORED)
        die("a line of LiteFS was not understood");
}

static void parse_bare(const char* line, size_t size)
{
    json_t* root = json_loadb(line, size, 0, NULL);

    if (root == NULL)
        die("a line of LiteFS is no JSON");
    json_decref(root);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds for one line. */
static double block(void (*parse)(const char* line, size_t size))
{
    double began_us = now_us();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < LINES; i++)
            parse(lines[i], strlen(lines[i]));
    return (now_us() - began_us) / (ROUNDS * LINES);
}

static int compare(const void* a, const void* b)
{
    double x = *(const double*)a;
    double y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(double* times)
{
    qsort(times, BLOCKS, sizeof *times, compare);
    return times[BLOCKS / 2];
}

int main(void)
{
    static double ours[BLOCKS];
    static double bare[BLOCKS];

    /* Who comes second finds warm caches, so they take turns in that too. */
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 2 == 0)
            ours[i] = block(parse_ours);
        bare[i] = block(parse_bare);
        if (i % 2 != 0)
            ours[i] = block(parse_ours);
    }
    printf("%d %.4f %.4f\n", BLOCKS * ROUNDS * (int)LINES, median(ours),
           median(bare));
    return 0;
}
