/* SPDX-License-Identifier: BSD-2-Clause
 *
 * suppressed.c - a program that says itself which of its leaks are known: the
 * 30 bytes of known_leak(), but not the 50 of new_leak().  Built with BROKEN,
 * it adds nonsense; with BYTES, its text has BYTES bytes.
 */
#include <stdlib.h>

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
#ifdef BROKEN
    return "leak:known_leak\nnonsense\n";
#elif defined BYTES
    /* One line, and comments of BYTES bytes in all. */
    static const char first[] = "leak:known_leak\n";
    static char text[BYTES + 1];
    for (unsigned i = 0; i < BYTES; i++)
        text[i] = i < sizeof first - 1 ? first[i] : i % 80 == 79 ? '\n' : '#';
    for (unsigned i = sizeof first - 1; i % 80 != 0; i++)
        text[i] = '\n';
    return text;
#else
    return "# ours\nleak:known_leak\nleak:^nobody$\n";
#endif
}

static void *volatile kept;

__attribute__((noinline)) static void known_leak(void)
{
    kept = malloc(30);
    kept = NULL;
}

__attribute__((noinline)) static void new_leak(void)
{
    kept = malloc(50);
    kept = NULL;
}

int main(void)
{
    known_leak();
    new_leak();
    return 0;
}
