/* SPDX-License-Identifier: BSD-2-Clause
 *
 * eater.c - takes memory until something ends it: argv[1] blocks of argv[2]
 * bytes each, or without end if that is 0.  With argv[3] it ends itself by
 * SIGKILL, and otherwise with 0, or 3 where malloc failed.  With PAUSE_US in the
 * environment it sleeps for that long after each MiB.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void **list;

int main(int argc, char **argv)
{
    size_t most = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 100, eaten = 0;
    const char *pause_us = getenv("PAUSE_US");

    for (size_t n = 0; most == 0 || n < most; n++) {
        void **block = malloc(bytes);
        if (!block && argc > 3)
            break;
        if (!block)
            return 3;
        memset(block, 1, bytes);
        *block = list;
        list = block;
        eaten += bytes;
        if (pause_us && eaten >= 1 << 20) {
            usleep((useconds_t)strtoul(pause_us, NULL, 10));
            eaten = 0;
        }
    }
    if (argc > 3)
        raise(SIGKILL);
    return 0;
}
