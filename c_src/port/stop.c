#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static int input_fd;
static sigset_t waiting_mask; /* the signals come through */
static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    (void)number;
    signalled = 1;
}

int stop_init(int input)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t blocked;

    input_fd = input;
    signalled = 0;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaddset(&blocked, signals[i]);
        if (sigaction(signals[i], &action, NULL) != 0) {
            return -errno;
        }
    }
    /* Without a reader of its output it gets EPIPE, and ends in order. */
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) {
        return -errno;
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &waiting_mask); /* cannot fail */
    /* Whoever started us may have blocked them. */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigdelset(&waiting_mask, signals[i]);
    }
    return 0;
}

/* Of the input: what poll() says of it, 0 after `ms` or a signal. */
static int wait_for(short events, const struct timespec* timeout)
{
    struct pollfd fd = {.fd = input_fd, .events = events};

    return ppoll(&fd, 1, timeout, &waiting_mask) > 0 ? fd.revents : 0;
}

bool stop_wait_input(void)
{
    while (!signalled) {
        if (wait_for(POLLIN, NULL) != 0) {
            return true;
        }
    }
    return false;
}

bool stop_pause(int ms)
{
    struct timespec timeout = {.tv_sec = ms / 1000,
                               .tv_nsec = ms % 1000 * 1000000L};

    /* Asked for nothing, poll() still tells of the other end's close. */
    if (signalled || wait_for(0, &timeout) != 0) {
        return true;
    }
    return signalled != 0;
}
