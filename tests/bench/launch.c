/* SPDX-License-Identifier: BSD-2-Clause
 *
 * launch [-e NAME=VALUE] [-u NAME] [-i INPUT] [-o OUTPUT] [-c CLIENT] --
 *        PROGRAM...
 *
 * Runs PROGRAM and prints one line of what it used, its children included:
 *     wall_us user_us sys_us peak_kib instructions cycles status
 * (the last two in user mode; 0 where the kernel does not count them).
 * -e and -u change PROGRAM's environment only.  CLIENT is a shell command that
 * runs beside it, for servers; it is not counted.
 *
 * It is C, and small, because the kernel counts a process's peak from its
 * fork on: the child of a large parent would seem large.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CHANGES = 64 };

struct job {
    char *change[MAX_CHANGES]; /* NAME=VALUE sets, NAME unsets */
    unsigned n_changes;
    const char *input, *output, *client;
    char **argv;
};

static void die(const char *what)
{
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    _exit(127);
}

static void reopen(int fd, const char *path, int flags)
{
    int got = open(path, flags, 0666);
    if (got < 0 || dup2(got, fd) < 0)
        die(path);
    if (got != fd)
        close(got);
}

/* A counter of what `pid` and its children do in user mode after exec. */
static int count(pid_t pid, unsigned long long what)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof attr,
        .config = what,
        .disabled = 1,
        .inherit = 1,
        .enable_on_exec = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1,
                        PERF_FLAG_FD_CLOEXEC);
}

static unsigned long long counted(int fd)
{
    unsigned long long value = 0;
    if (fd >= 0 && read(fd, &value, sizeof value) != sizeof value)
        value = 0;
    return value;
}

/* The child waits for a byte from `go` before it becomes the program. */
static pid_t start_program(const struct job *job, const int go[2])
{
    char byte;
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    close(go[1]);
    if (read(go[0], &byte, 1) != 1)
        _exit(127);
    close(go[0]);
    reopen(0, job->input, O_RDONLY);
    reopen(1, job->output, O_WRONLY | O_CREAT | O_TRUNC);
    for (unsigned i = 0; i < job->n_changes; i++)
        if (strchr(job->change[i], '='))
            putenv(job->change[i]);
        else
            unsetenv(job->change[i]);
    execvp(job->argv[0], job->argv);
    die(job->argv[0]);
    return -1;
}

static pid_t start_client(const struct job *job)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    reopen(0, "/dev/null", O_RDONLY);
    reopen(1, "/dev/null", O_WRONLY);
    execl("/bin/sh", "sh", "-c", job->client, (char *)NULL);
    die("/bin/sh");
    return -1;
}

static long long micros(struct timeval t)
{
    return t.tv_sec * 1000000LL + t.tv_usec;
}

static long long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int run(const struct job *job)
{
    struct rusage used;
    int status, client_status = 0;
    int go[2];
    if (pipe(go) != 0)
        die("pipe");
    pid_t pid = start_program(job, go), client = -1;
    if (pid < 0)
        die("fork");
    close(go[0]);
    int instructions = count(pid, PERF_COUNT_HW_INSTRUCTIONS);
    int cycles = count(pid, PERF_COUNT_HW_CPU_CYCLES);
    long long start = now_us();
    if (write(go[1], "g", 1) != 1)
        die("write");
    close(go[1]);
    if (job->client && (client = start_client(job)) < 0)
        die("fork");
    if (wait4(pid, &status, 0, &used) != pid)
        die("wait4");
    long long wall = now_us() - start;
    if (client > 0 && waitpid(client, &client_status, 0) != client)
        die("waitpid");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code == 0 && client_status != 0)
        code = 126;
    printf("%lld %lld %lld %ld %llu %llu %d\n", wall, micros(used.ru_utime),
           micros(used.ru_stime), used.ru_maxrss, counted(instructions),
           counted(cycles), code);
    return 0;
}

int main(int argc, char **argv)
{
    struct job job = {.input = "/dev/null", .output = "/dev/null"};
    int option;
    while ((option = getopt(argc, argv, "+e:u:i:o:c:")) != -1)
        switch (option) {
        case 'e':
        case 'u':
            if (job.n_changes == MAX_CHANGES) {
                fputs("launch: too many changes of the environment\n", stderr);
                return 2;
            }
            job.change[job.n_changes++] = optarg;
            break;
        case 'i':
            job.input = optarg;
            break;
        case 'o':
            job.output = optarg;
            break;
        case 'c':
            job.client = optarg;
            break;
        default:
            return 2;
        }
    job.argv = argv + optind;
    if (*job.argv == NULL) {
        fputs("launch: which program?\n", stderr);
        return 2;
    }
    return run(&job);
}
