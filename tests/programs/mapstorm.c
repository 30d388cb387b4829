/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads, signal handlers and children that map, cut and unmap memory at once;
 * what is left is said: "mapped BYTES", then "ready".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define THREADS 4
#define ROUNDS 3000
#define KEPT 10 /* of each thread */

static char *map(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
    return p;
}

static void on_alarm(int signal)
{
    char *p = map(3);

    (void)signal;
    munmap(p + PAGE, PAGE);
    munmap(p, 3 * PAGE);
}

static unsigned step(unsigned *seed)
{
    return *seed = *seed * 1103515245u + 12345u, *seed >> 16;
}

static void *storm(void *argument)
{
    unsigned seed = (unsigned)(unsigned long)argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t pages = 2 + step(&seed) % 30, cut = 1 + step(&seed) % pages;
        char *p = map(pages), *q = MAP_FAILED;
        munmap(p + (cut - 1) * PAGE, PAGE);
        if (cut > 1)
            q = mremap(p, (cut - 1) * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
        if (cut < pages)
            munmap(p + cut * PAGE, (pages - cut) * PAGE);
        if (q != MAP_FAILED)
            munmap(q, 40 * PAGE);
    }
    for (unsigned i = 0; i < KEPT; i++) {
        char *p = map(5);
        for (int j = 0; j < 5; j++)
            p[j * PAGE] = 1;
        munmap(p + 2 * PAGE, PAGE);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    unsigned children = 0;

    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, storm, (void *)(i + 1)) != 0)
            return 2;
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        int status;
        if (child == 0) {
            munmap(map(4), 4 * PAGE);
            _exit(0);
        }
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
            children++;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    if (children != 30)
        return 3;
    printf("mapped %lu\nready\n", THREADS * KEPT * 4 * PAGE);
    fflush(stdout);
    return getchar() == EOF;
}
