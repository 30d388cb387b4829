/* SPDX-License-Identifier: BSD-2-Clause
 *
 * lastframes.c - a small program that loses all that it allocated, and ends in
 * one of the ways that there are; see e2e/holders.
 *
 *     lastframes END BLOCKS
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *last(void *unused)
{
    usleep(50000);
    return unused;
}

static void end(int how)
{
    pthread_t thread;

    switch (how) {
    case 1:
        exit(0);
    case 2:
        _exit(0);
    case 3:
        quick_exit(0);
    case 4:
        pthread_create(&thread, NULL, last, NULL);
        pthread_exit(NULL);
    case 5:
        abort();
    case 6:
        assert(how == 0);
    case 7:
        raise(SIGABRT);
    }
}

__attribute__((noinline)) static void lose(int n)
{
    void *blocks[n];

    for (int i = 0; i < n; i++) {
        blocks[i] = malloc(100);
        memset(blocks[i], 'x', 100);
    }
    __asm__ volatile("" : : "r"(blocks) : "memory");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    lose(atoi(argv[2]));
    end(atoi(argv[1]));
    return 0;
}
