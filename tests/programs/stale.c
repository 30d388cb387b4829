/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stale.c - a frame with an array full of return addresses of calls that have
 * ended; see e2e/frames.  Prints "ready" and where the array lies.
 */
#include <stdio.h>
#include <unistd.h>

#define WORDS 2000

static void (*volatile call)(int);
void *volatile kept; /* what the array holds is not for the compiler to know */

__attribute__((noinline)) static void recurse(int n)
{
    volatile char pad[40];

    pad[0] = (char)n;
    if (n > 0)
        call(n - 1);
    pad[1] = pad[0];
}

__attribute__((noinline)) static void wait_here(void)
{
    void *words[WORDS];

    kept = words;
    printf("ready %p\n", (void *)words);
    fflush(stdout);
    pause();
    kept = NULL;
}

int main(void)
{
    call = recurse;
    recurse(150);
    wait_here();
    return 0;
}
