#include "fake_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void send_all(int fd, const char* bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client went away, or hangs for seconds */
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void send_text(int fd, const char* text)
{
    send_all(fd, text, strlen(text));
}

static void send_chunk(int fd, const char* bytes, size_t size, const char* end)
{
    size_t space = size + 64;
    char* chunk = malloc(space);
    if (!chunk)
        abort();
    int head = snprintf(chunk, space, "%zx\r\n", size + strlen(end));
    memcpy(chunk + head, bytes, size);
    size_t at = (size_t)head + size;
    at += (size_t)snprintf(chunk + at, space - at, "%s\r\n", end);
    send_all(fd, chunk, at);
    free(chunk);
}

static void send_long(int fd, int size)
{
    char piece[4096];

    memset(piece, 'x', sizeof(piece));
    for (int left = size; left > 0; left -= (int)sizeof(piece)) {
        size_t now = left < (int)sizeof(piece) ? (size_t)left : sizeof(piece);
        send_chunk(fd, piece, now, "");
    }
    send_chunk(fd, "", 0, "\n");
}

static void send_headers(int fd, const char* more)
{
    char headers[512];

    snprintf(headers, sizeof(headers),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Transfer-Encoding: chunked\r\n%s\r\n",
             more ? more : "");
    send_text(fd, headers);
}

static void send_status(int fd, const struct fake_step* step)
{
    char answer[512];

    snprintf(answer, sizeof(answer),
             "HTTP/1.1 %d Scripted\r\n%sContent-Length: 0\r\n\r\n",
             step->number, step->text ? step->text : "");
    send_text(fd, answer);
}

static void play_step(int fd, const struct fake_step* step)
{
    switch (step->type) {
    case FAKE_END_OF_SCRIPT:
        return;
    case FAKE_STATUS:
        send_status(fd, step);
        shutdown(fd, SHUT_RDWR);
        return;
    case FAKE_HEADERS:
        send_headers(fd, step->text);
        return;
    case FAKE_LINE:
        send_chunk(fd, step->text, strlen(step->text), "\n");
        return;
    case FAKE_TEXT:
        send_chunk(fd, step->text, strlen(step->text), "");
        return;
    case FAKE_LONG:
        send_long(fd, step->number);
        return;
    case FAKE_RAW:
        send_text(fd, step->text);
        return;
    case FAKE_END:
        send_text(fd, "0\r\n\r\n");
        shutdown(fd, SHUT_RDWR);
        return;
    case FAKE_HANG_UP:
        shutdown(fd, SHUT_RDWR);
        return;
    }
}

void fake_steps_play(int fd, const struct fake_step* steps)
{
    for (; steps->type != FAKE_END_OF_SCRIPT; steps++)
        play_step(fd, steps);
}
