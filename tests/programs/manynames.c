/* SPDX-License-Identifier: BSD-2-Clause
 *
 * manynames.c - keeps a block each of 70,000 stacks, up to 41 calls deep, that
 * return to places of their own, and waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile kept;
static unsigned n;

__attribute__((noinline)) static void descend(unsigned depth)
{
    if (depth)
        descend(depth - 1);
    else
        kept = malloc(16 + n % 100);
    __asm__ volatile("");
}

__attribute__((noinline)) static void call(void)
{
    n++;
    descend(n * 7 % 41);
    __asm__ volatile("");
}

#define TEN(x) x x x x x x x x x x
#define SEVEN(x) x x x x x x x

int main(void)
{
    char c;

    SEVEN(TEN(TEN(TEN(TEN(call();)))))
    puts("ready");
    fflush(stdout);
    return read(0, &c, 1) < 0;
}
