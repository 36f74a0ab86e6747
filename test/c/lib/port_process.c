#include "port_process.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reply_text.h"

void port_process_start(struct port_process* process)
{
    int input[2];
    int output[2];

    ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    process->pid = fork();
    ck_assert_int_ge(process->pid, 0);
    if (process->pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        execl(PORT_PROGRAM, PORT_PROGRAM, (char*)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    process->input = input[1];
    process->output = output[0];
}

void port_process_end(struct port_process* process)
{
    port_process_close_input(process);
    port_process_close_output(process);
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        port_process_wait(process);
    }
}

void port_process_send_bytes(struct port_process* process, const char* bytes,
                             size_t size)
{
    ck_assert_int_eq(write(process->input, bytes, size), (ssize_t)size);
}

void port_process_send(struct port_process* process, ei_x_buff* x)
{
    char header[4] = {0, 0, (char)(x->index >> 8), (char)x->index};

    ck_assert_int_lt(x->index, 1 << 16);
    port_process_send_bytes(process, header, sizeof header);
    port_process_send_bytes(process, x->buff, (size_t)x->index);
    ei_x_free(x);
}

/* False where the output has ended. */
static bool read_all(int fd, char* bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = read(fd, bytes, size);

        if (got <= 0) {
            return false;
        }
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

const char* port_process_receive(struct port_process* process)
{
    unsigned char header[4];
    char content[4096];
    size_t size;

    if (!read_all(process->output, (char*)header, sizeof header)) {
        return NULL;
    }
    ck_assert(header[0] == 0 && header[1] == 0);
    size = (size_t)(header[2] << 8 | header[3]);
    ck_assert_uint_le(size, sizeof content);
    ck_assert(read_all(process->output, content, size));
    return reply_text(content, size);
}

void port_process_ask(struct port_process* process, ei_x_buff* x,
                      const char* wanted)
{
    port_process_send(process, x);
    ck_assert_pstr_eq(port_process_receive(process), wanted);
}

static void close_end(int* fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void port_process_close_input(struct port_process* process)
{
    close_end(&process->input);
}

void port_process_close_output(struct port_process* process)
{
    close_end(&process->output);
}

int port_process_wait(struct port_process* process)
{
    int status;

    ck_assert_int_eq(waitpid(process->pid, &status, 0), process->pid);
    process->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int port_process_descriptors(const struct port_process* process)
{
    char path[64];
    DIR* directory;
    struct dirent* entry;
    int count = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
    directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)) != NULL) {
        count += entry->d_name[0] != '.' && atoi(entry->d_name) > 2;
    }
    closedir(directory);
    return count;
}
