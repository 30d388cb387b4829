/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program whose handler of SIGABRT allocates, under a lock of its own, and
 * may be entered twice (SA_NODEFER), for tests/e2e/allocators:
 *     aborts free     frees what is in no heap, and so does the handler
 *     aborts oom      runs out of memory, in the handler too
 *     aborts thread   the handler waits for a thread, which runs out of memory
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUCH ((size_t)1 << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *what;
static void *volatile sink;

static void *second(void *unused)
{
    sink = malloc(MUCH);
    return unused;
}

static void fail(void)
{
    if (strcmp(what, "free") == 0)
        free((void *)0x123450);
    else
        sink = malloc(MUCH);
}

static void on_abort(int signal)
{
    (void)signal;
    (void)!write(1, "handler\n", 8);
    pthread_mutex_lock(&lock);
    if (strcmp(what, "thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, second, NULL);
        pthread_join(thread, NULL);
    } else {
        fail();
    }
    _exit(3);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_abort, .sa_flags = SA_NODEFER};
    what = argc > 1 ? argv[1] : "free";
    sigaction(SIGABRT, &action, NULL);
    fail();
    return 4;
}
