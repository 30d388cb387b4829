/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holders.cc - blocks that hang on what threads leave behind, on what the
 * kernel holds, and on exceptions; see e2e/holders.  With -DLIBRARY, a library
 * with thread-local storage that is allocated when it is first used.
 *
 *     holders LIBRARY [crash]
 *
 * Functions lose_*() allocate blocks that nothing can reach any longer,
 * keep_*() blocks that can be reached.
 */
#ifdef LIBRARY
static __thread void *space[400];
extern "C" void **holders_slot(void)
{
    return &space[7];
}
#else
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <exception>
#include <stdexcept>
#include <vector>

#define N 6
#define PART(name)                                                             \
    __attribute__((noinline)) static void *name(void)                          \
    {                                                                          \
        void *block = malloc(72);                                              \
        memset(block, 'x', 72);                                                \
        return block;                                                          \
    }
PART(lose_argument)
PART(lose_detached)
PART(lose_result)
PART(keep_result)
PART(lose_tls)
PART(lose_late_tls)
PART(keep_epoll)
PART(keep_timer)

static std::vector<std::exception_ptr> *caught;
static void **(*late)(void);
static pthread_barrier_t together;
static __thread void *mine;

static void *take_argument(void *)
{
    pthread_barrier_wait(&together);
    return NULL;
}
static void *take_detached(void *)
{
    return NULL;
}
static void *give_result(void *)
{
    pthread_barrier_wait(&together);
    return lose_result();
}
static void *leave_result(void *)
{
    return keep_result();
}
static void *use_tls(void *)
{
    mine = lose_tls();
    *late() = lose_late_tls();
    pthread_barrier_wait(&together);
    return NULL;
}

/* So many at a time that all stacks are there at once. */
static void join_all(void *(*work)(void *), void *(*argument)(void))
{
    pthread_t threads[N];

    pthread_barrier_init(&together, NULL, N);
    for (auto &thread : threads)
        pthread_create(&thread, NULL, work, argument ? argument() : NULL);
    for (auto thread : threads)
        pthread_join(thread, NULL);
}

static void leave_all(void *(*work)(void *), void *(*argument)(void),
                      bool detached)
{
    for (int i = 0; i < N; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, argument ? argument() : NULL);
        if (detached)
            pthread_detach(thread);
    }
}

__attribute__((noinline)) static void give_to_kernel(void)
{
    static timer_t timers[N]; // blocks of glibc's, before 2.34
    int poll = epoll_create1(0);

    for (int i = 0; i < N; i++) {
        struct epoll_event event = {};
        struct sigevent signal = {};
        event.events = EPOLLIN;
        event.data.ptr = keep_epoll();
        epoll_ctl(poll, EPOLL_CTL_ADD, eventfd(0, 0), &event);
        signal.sigev_notify = SIGEV_SIGNAL;
        signal.sigev_signo = SIGUSR1;
        signal.sigev_value.sival_ptr = keep_timer();
        timer_create(CLOCK_MONOTONIC, &signal, &timers[i]);
    }
}

__attribute__((noinline)) static void keep_exceptions(void)
{
    caught = new std::vector<std::exception_ptr>;
    for (int i = 0; i < N; i++)
        try {
            throw std::runtime_error("a text that is on the heap");
        } catch (...) {
            caught->push_back(std::current_exception());
        }
}

__attribute__((noinline)) static void wipe(void)
{
    volatile char frame[16384];

    memset((void *)frame, 0, sizeof frame);
}

static size_t count_threads(void)
{
    char line[256];
    size_t n = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        sscanf(line, "Threads: %zu", &n);
    if (file)
        fclose(file);
    return n;
}

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

    if (!library)
        return 2;
    late = (void **(*)(void))dlsym(library, "holders_slot");
    leave_all(leave_result, NULL, false);
    leave_all(take_detached, lose_detached, true);
    while (count_threads() > 1)
        usleep(1000);
    join_all(take_argument, lose_argument);
    join_all(give_result, NULL);
    join_all(use_tls, NULL);
    give_to_kernel();
    keep_exceptions();
    wipe();
    puts("ready");
    fflush(stdout);
    if (argc > 2)
        abort();
    return getchar() != EOF;
}
#endif
