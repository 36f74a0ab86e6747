#include "fake_litefs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_steps.h"

enum { SCRIPT_MAX = 16, CONNECTIONS_MAX = 32, REQUEST_MAX = 4096 };

struct connection {
    int fd;
    bool events; /* it has asked for /events */
    bool hangs;  /* ... for /info, and has no answer yet */
    size_t size;
    char request[REQUEST_MAX];
};

struct fake_litefs {
    pthread_mutex_t mutex; /* over everything below */
    pthread_t thread;
    int wake;
    int listener;
    bool listening; /* refuses connections while it is false */
    bool stopping;
    struct sockaddr_in address;
    char url[64];
    struct fake_step script[SCRIPT_MAX];
    enum fake_info info;
    const char* info_body;
    int events_requests;
    int info_requests;
    struct connection connections[CONNECTIONS_MAX];
    int count;
};

static void require(bool condition, const char* what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

/* --- connections (all with the mutex) ----------------------------------- */

static void answer_info(struct fake_litefs* fake, struct connection* connection)
{
    connection->hangs = fake->info == FAKE_INFO_HANG;
    if (fake->info == FAKE_INFO_ANSWER) {
        dprintf(connection->fd,
                "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                strlen(fake->info_body), fake->info_body);
    } else if (fake->info == FAKE_INFO_HANG_UP) {
        shutdown(connection->fd, SHUT_RDWR);
    }
}

static void answer(struct fake_litefs* fake, struct connection* connection)
{
    if (!strncmp(connection->request, "GET /events ", 12)) {
        fake->events_requests++;
        connection->events = true;
        fake_steps_play(connection->fd, fake->script);
    } else if (!strncmp(connection->request, "GET /info ", 10)) {
        fake->info_requests++;
        answer_info(fake, connection);
    } else {
        fake_steps_play(connection->fd, FAKE_SCRIPT({FAKE_STATUS, NULL, 404}));
    }
}

/* False when the client has hung up (or was hung up on). */
static bool serve(struct fake_litefs* fake, struct connection* connection)
{
    size_t room = REQUEST_MAX - 1 - connection->size;
    ssize_t got =
        recv(connection->fd, connection->request + connection->size, room, 0);
    if (got <= 0)
        return false;
    connection->size += (size_t)got;
    connection->request[connection->size] = '\0';
    if (!strstr(connection->request, "\r\n\r\n"))
        return true;
    answer(fake, connection);
    connection->size = 0;
    return true;
}

static void remove_connection(struct fake_litefs* fake, int index)
{
    close(fake->connections[index].fd);
    fake->connections[index] = fake->connections[--fake->count];
}

static void add_connection(struct fake_litefs* fake)
{
    int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    require(fake->count < CONNECTIONS_MAX, "too many connections");
    const int on = 1;
    const struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    struct connection* connection = &fake->connections[fake->count++];
    *connection = (struct connection){.fd = fd};
}

/* --- the listener ------------------------------------------------------- */

static void bind_listener(struct fake_litefs* fake)
{
    const int on = 1;
    struct sockaddr* address = (struct sockaddr*)&fake->address;
    socklen_t size = sizeof(fake->address);

    fake->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    require(fake->listener >= 0, "socket");
    setsockopt(fake->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    require(!bind(fake->listener, address, size), "bind");
    require(!getsockname(fake->listener, address, &size), "getsockname");
}

/* Twice, because only a socket that was bound to a port by number keeps it
 * while it does not listen. */
static void take_port(struct fake_litefs* fake)
{
    fake->address.sin_family = AF_INET;
    fake->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind_listener(fake);
    close(fake->listener);
    bind_listener(fake);
}

static void wake(struct fake_litefs* fake)
{
    uint64_t one = 1;
    require(write(fake->wake, &one, sizeof(one)) == sizeof(one), "eventfd");
}

void fake_litefs_refuse(struct fake_litefs* fake)
{
    pthread_mutex_lock(&fake->mutex);
    shutdown(fake->listener, SHUT_RDWR);
    fake->listening = false;
    pthread_mutex_unlock(&fake->mutex);
    wake(fake);
}

void fake_litefs_accept(struct fake_litefs* fake)
{
    pthread_mutex_lock(&fake->mutex);
    require(!listen(fake->listener, 64), "listen");
    fake->listening = true;
    pthread_mutex_unlock(&fake->mutex);
    wake(fake);
}

/* --- the thread --------------------------------------------------------- */

/* Slot 0 is the wake-up, slot 1 the listener, the rest the connections. */
static nfds_t fill(struct fake_litefs* fake, struct pollfd* fds)
{
    fds[0] = (struct pollfd){.fd = fake->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = fake->listening ? fake->listener : -1,
                             .events = POLLIN};
    for (int i = 0; i < fake->count; i++) {
        fds[2 + i] =
            (struct pollfd){.fd = fake->connections[i].fd, .events = POLLIN};
    }
    return (nfds_t)fake->count + 2;
}

static void drain(int eventfd_wake)
{
    uint64_t number;
    ssize_t got = read(eventfd_wake, &number, sizeof(number));
    (void)got;
}

static void handle(struct fake_litefs* fake, const struct pollfd* fds,
                   nfds_t count)
{
    if (fds[0].revents)
        drain(fake->wake);
    /* From the back, because removing moves the last one forward. */
    for (int i = (int)count - 3; i >= 0; i--) {
        if (fds[2 + i].revents && !serve(fake, &fake->connections[i]))
            remove_connection(fake, i);
    }
    if (fds[1].revents & POLLIN)
        add_connection(fake);
}

static void* run(void* ctx)
{
    struct fake_litefs* fake = ctx;
    struct pollfd fds[CONNECTIONS_MAX + 2];

    pthread_mutex_lock(&fake->mutex);
    while (!fake->stopping) {
        nfds_t count = fill(fake, fds);
        pthread_mutex_unlock(&fake->mutex);
        poll(fds, count, -1);
        pthread_mutex_lock(&fake->mutex);
        handle(fake, fds, count);
    }
    pthread_mutex_unlock(&fake->mutex);
    return NULL;
}

struct fake_litefs* fake_litefs_open(void)
{
    struct fake_litefs* fake = calloc(1, sizeof(*fake));
    require(fake, "calloc");
    pthread_mutex_init(&fake->mutex, NULL);
    fake->info_body = "{\"isPrimary\":false}\n";
    fake->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    require(fake->wake >= 0, "eventfd");
    take_port(fake);
    snprintf(fake->url, sizeof(fake->url), "http://127.0.0.1:%d/events",
             ntohs(fake->address.sin_port));
    fake_litefs_accept(fake);
    require(!pthread_create(&fake->thread, NULL, run, fake), "pthread_create");
    return fake;
}

void fake_litefs_close(struct fake_litefs* fake)
{
    pthread_mutex_lock(&fake->mutex);
    fake->stopping = true;
    pthread_mutex_unlock(&fake->mutex);
    wake(fake);
    pthread_join(fake->thread, NULL);
    while (fake->count > 0)
        remove_connection(fake, fake->count - 1);
    close(fake->listener);
    close(fake->wake);
    pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

/* --- orders and counters ------------------------------------------------ */

const char* fake_litefs_url(const struct fake_litefs* fake)
{
    return fake->url;
}

void fake_litefs_script(struct fake_litefs* fake,
                        const struct fake_step* script)
{
    int count = 0;

    while (script[count].type != FAKE_END_OF_SCRIPT)
        count++;
    require(count < SCRIPT_MAX, "script too long");
    pthread_mutex_lock(&fake->mutex);
    memcpy(fake->script, script, ((size_t)count + 1) * sizeof(*script));
    pthread_mutex_unlock(&fake->mutex);
}

void fake_litefs_play(struct fake_litefs* fake, const struct fake_step* steps)
{
    pthread_mutex_lock(&fake->mutex);
    for (int i = 0; i < fake->count; i++) {
        if (fake->connections[i].events)
            fake_steps_play(fake->connections[i].fd, steps);
    }
    pthread_mutex_unlock(&fake->mutex);
}

void fake_litefs_info(struct fake_litefs* fake, enum fake_info info)
{
    pthread_mutex_lock(&fake->mutex);
    fake->info = info;
    for (int i = 0; i < fake->count; i++) {
        if (fake->connections[i].hangs)
            answer_info(fake, &fake->connections[i]);
    }
    pthread_mutex_unlock(&fake->mutex);
}

void fake_litefs_info_body(struct fake_litefs* fake, const char* body)
{
    pthread_mutex_lock(&fake->mutex);
    fake->info_body = body;
    pthread_mutex_unlock(&fake->mutex);
}

static int locked(struct fake_litefs* fake, const int* counter)
{
    pthread_mutex_lock(&fake->mutex);
    int value = *counter;
    pthread_mutex_unlock(&fake->mutex);
    return value;
}

int fake_litefs_events_requests(struct fake_litefs* fake)
{
    return locked(fake, &fake->events_requests);
}

int fake_litefs_info_requests(struct fake_litefs* fake)
{
    return locked(fake, &fake->info_requests);
}

int fake_litefs_connections(struct fake_litefs* fake)
{
    return locked(fake, &fake->count);
}
