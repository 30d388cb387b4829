/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs with one fault each, for tests/e2e/safety:
 *     faults late        writes to a freed block, and allocates on
 *     faults last        writes to a freed block, and ends
 *     faults overrun     writes one byte past a block of 64 KiB
 *     faults stale       reads a freed block of 1 MiB
 *     faults none        none of these
 *     faults churn       none, many blocks
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline)) char *victim(size_t size)
{
    char *p = malloc(size);
    if (p == NULL)
        abort();
    memset(p, 1, size);
    return p;
}

static void churn(void)
{
    static void *slot[500];
    unsigned state = 1;
    for (int i = 0; i < 100000; i++) {
        state = state * 1664525 + 1013904223;
        void **at = &slot[(state >> 8) % 500];
        free(*at);
        *at = victim(1 + (state >> 16) % 3000);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    volatile char *p;
    if (!strcmp(what, "late") || !strcmp(what, "last")) {
        p = victim(100);
        free((char *)p);
        p[60] = 'x';
        for (int i = 0; i < 300 && what[2] == 't'; i++)
            free(victim(100));
    } else if (!strcmp(what, "overrun")) {
        p = victim(65536);
        p[65536] = 1;
    } else if (!strcmp(what, "stale")) {
        p = victim(1 << 20);
        free((char *)p);
        printf("%d\n", p[5]);
    } else if (!strcmp(what, "churn")) {
        churn();
    } else if (strcmp(what, "none")) {
        return 2;
    }
    return 0;
}
