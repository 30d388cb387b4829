/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Things that a process does apart from allocating, one word of the command
 * line each. The output is the same on glibc's malloc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    printf("bad: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- flags of the floating-point unit --- */

static void floats(void)
{
    static void *blocks[100000];
    feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_INEXACT);
    for (unsigned i = 0; i < 100000; i++)
        blocks[i] = malloc(i % 3000 + 1);
    for (unsigned i = 0; i < 100000; i++)
        free(blocks[i]);
    printf("flags %d\n", fetestexcept(FE_ALL_EXCEPT));
}

/* --- keys --- */

static void *use_heap(void *arg)
{
    for (unsigned i = 1; i < 1000; i++)
        free(malloc(i));
    return arg;
}

static void run_threads(unsigned n)
{
    pthread_t thread[8];
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&thread[i], NULL, use_heap, NULL))
            fail("pthread_create");
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

static void keys(void)
{
    static pthread_key_t key[PTHREAD_KEYS_MAX + 1];
    unsigned n = 0;
    run_threads(4);
    while (n <= PTHREAD_KEYS_MAX && pthread_key_create(&key[n], NULL) == 0)
        n++;
    printf("%u keys of %d, the first is %u\n", n, PTHREAD_KEYS_MAX, key[0]);
    for (unsigned i = 0; i < 20; i++) /* ends are not told any more */
        run_threads(8);
    for (unsigned i = 0; i < n; i++)
        pthread_key_delete(key[i]);
    tss_t tss[PTHREAD_KEYS_MAX];
    for (n = 0; n < PTHREAD_KEYS_MAX; n++)
        if (tss_create(&tss[n], NULL) != thrd_success)
            break;
    printf("%u of C11\n", n);
}

/* --- descriptor 2 --- */

/* The file that gets the descriptor is data: a report does not go there. */
static void data_file(const char *name)
{
    close(0);
    close(2);
    int null = open("/dev/null", O_RDONLY);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (null != 0 || file != 2 || write(file, "DATA", 4) != 4)
        fail(name);
    char *volatile p = malloc(100);
    free(p);
    free(p);
    if (write(file, "MORE", 4) != 4)
        fail(name);
}

/* A log: a report writes to it. */
static void log_file(const char *name)
{
    if (!freopen(name, "a", stderr))
        fail(name);
    char *volatile p = malloc(100);
    free(p);
    free(p);
}

/* --- ends --- */

static void drop_privileges(void)
{
    if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
        fail("setuid");
    printf("%d\n", malloc(1000) != NULL);
}

static void *end_later(void *arg)
{
    (void)arg;
    usleep(100000);
    puts("the last thread");
    exit(0);
}

static void end_first_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_later, NULL))
        fail("pthread_create");
    pthread_exit(NULL);
}

/* --- programs that can not be started --- */

static void said(const char *what, int result, int error)
{
    printf("%s %d: %s\n", what, result, strerror(error));
}

static void execs(const char *untraced)
{
    static char word[] = "x", long_name[5000];
    char *argv[] = {word, NULL}, *volatile nowhere = (char *)8;
    char *variables[] = {word, nowhere, NULL}, **volatile none = (char **)8;
    int result, folder = open("/", O_RDONLY);
    pid_t pid;
    memset(long_name, 'x', sizeof long_name - 1);
#define SAID(call) (errno = 0, result = (call), said(#call, result, errno))
    SAID(execve("/nowhere/x", argv, environ));
    SAID(execve("/", argv, environ));
    SAID(execve(nowhere, argv, environ));
    SAID(execve("/proc/self/exe", argv, none));
    SAID(execve("/proc/self/exe", argv, variables));
    SAID(execve(untraced, argv, none));
    SAID(execve(untraced, argv, variables));
    SAID(execve(long_name, argv, environ));
    SAID(execv("", argv));
    SAID(execvp("no-such-program", argv));
    SAID(execvp("", argv));
    SAID(execvp(long_name, argv));
    SAID(execlp("no-such-program", word, (char *)NULL));
    SAID(fexecve(-1, argv, environ));
    SAID(fexecve(folder, argv, environ));
    SAID(fexecve(folder + 100, argv, environ));
    SAID(posix_spawn(&pid, "/nowhere/x", NULL, NULL, argv, environ));
    SAID(posix_spawnp(&pid, "no-such-program", NULL, NULL, argv, environ));
#if __GLIBC_PREREQ(2, 34)
    SAID(execveat(AT_FDCWD, "no-such-program", argv, environ, 0));
    SAID(execveat(folder, nowhere, argv, environ, 0));
    SAID(execveat(folder, "", argv, environ, 0));
    SAID(execveat(folder, "nowhere/x", argv, environ, 0));
    SAID(execveat(folder, "bin", argv, environ, 1 << 30));
#endif
}

/* --- fork beside threads that hold the C library's locks --- */

static bool stop;
static unsigned long rounds;

static bool going_on(void)
{
    __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
    return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void *forks(void *arg)
{
    while (going_on()) {
        pid_t pid = fork();
        if (pid == 0) {
            free(malloc(100000));
            free(strdup("a child allocates"));
            _exit(17);
        }
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) != pid ||
            WEXITSTATUS(status) != 17)
            fail("fork");
    }
    return arg;
}

static void *reads_lines(void *name)
{
    FILE *file = fopen(name, "r");
    while (file && going_on()) {
        char *line = NULL;
        size_t bytes = 0;
        rewind(file);
        if (getline(&line, &bytes, file) < 0)
            fail("getline");
        free(line);
    }
    return file ? NULL : name;
}

static void *flushes(void *arg)
{
    while (going_on())
        fflush(NULL);
    return arg;
}

static void *opens(void *name)
{
    while (going_on()) {
        FILE *file = fopen(name, "r");
        if (!file || fclose(file))
            fail("fopen");
    }
    return NULL;
}

static void *allocates(void *arg)
{
    for (unsigned i = 0; going_on(); i++) {
        void *volatile p = malloc(40000 + i % 1000000);
        free(p);
    }
    return arg;
}

static void fork_beside(const char *name, unsigned seconds)
{
    void *(*const run[])(void *) = {forks,   forks, reads_lines, reads_lines,
                                    flushes, opens, allocates};
    pthread_t thread[sizeof run / sizeof *run];
    FILE *file = fopen(name, "w");
    for (unsigned i = 0; file && i < 50000; i++)
        fputc('x', file);
    if (!file || fputc('\n', file) == EOF || fclose(file))
        fail(name);
    for (unsigned i = 0; i < sizeof run / sizeof *run; i++)
        if (pthread_create(&thread[i], NULL, run[i], (void *)name))
            fail("pthread_create");
    sleep(seconds);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < sizeof run / sizeof *run; i++)
        pthread_join(thread[i], NULL);
    puts(rounds > 100 ? "all ended" : "bad: next to nothing was done");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "floats") == 0)
        floats();
    else if (strcmp(what, "keys") == 0)
        keys();
    else if (strcmp(what, "data") == 0)
        data_file(argv[2]);
    else if (strcmp(what, "log") == 0)
        log_file(argv[2]);
    else if (strcmp(what, "execs") == 0)
        execs(argv[2]);
    else if (strcmp(what, "drop") == 0)
        drop_privileges();
    else if (strcmp(what, "leader") == 0)
        end_first_thread();
    else if (strcmp(what, "fork") == 0)
        fork_beside(argv[2], (unsigned)atoi(argv[3]));
    else
        return 2;
    return 0;
}
