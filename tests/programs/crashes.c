/* SPDX-License-Identifier: BSD-2-Clause
 *
 * crashes.c - crashes in the way that its argument says.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noclone))

static void *volatile kept;
static volatile int zero;

KEPT static void inner(int *p)
{
    *(volatile int *)p = 5;
}

KEPT static void middle(int *p)
{
    inner(p);
    zero = 0;
}

static void *in_thread(void *p)
{
    middle(p);
    return p;
}

KEPT static int deep(int n)
{
    volatile char room[1000];

    room[0] = (char)n;
    return deep(n + 1) + room[0];
}

KEPT static int divide(int n)
{
    return n / zero;
}

KEPT static char *make_block(size_t bytes)
{
    char *p = malloc(bytes);

    kept = p;
    return p;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    static void (*volatile nowhere)(void) = (void (*)(void))0x1234;
    pthread_t thread;

    if (strcmp(word, "null") == 0)
        middle(NULL);
    else if (strcmp(word, "thread") == 0) {
        pthread_create(&thread, NULL, in_thread, (void *)0x123456789000);
        pthread_join(thread, NULL);
    } else if (strcmp(word, "readonly") == 0)
        middle((int *)"a constant");
    else if (strcmp(word, "noncanonical") == 0)
        middle((int *)0x8123456789abcdef);
    else if (strcmp(word, "jump") == 0)
        nowhere();
    else if (strcmp(word, "divide") == 0)
        return divide(argc);
    else if (strcmp(word, "abort") == 0)
        abort();
    else if (strcmp(word, "twice") == 0) {
        free(make_block(10));
        free(kept);
    } else if (strcmp(word, "inside") == 0) {
        make_block(10);
        kept = (char *)kept + 1;
        kept = realloc(kept, 20);
    } else if (strcmp(word, "string") == 0)
        return (int)strlen(kept);
    else if (strcmp(word, "deep") == 0)
        return deep(0);
    else if (strcmp(word, "after") == 0)
        middle((int *)(void *)(make_block(100000) + 102400));
    else if (strcmp(word, "kill") == 0)
        kill(getpid(), SIGKILL);
    else if (strcmp(word, "term") == 0)
        kill(getpid(), SIGTERM);
    else if (strcmp(word, "child") == 0) {
        if (fork() == 0)
            middle(NULL);
        wait(NULL);
    }
    return 0;
}
