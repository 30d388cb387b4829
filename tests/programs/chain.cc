/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Allocations with known sums, for tests/e2e/exports: three functions keep
 * 1000, 2000 and 3000 blocks, one through the other two; a fourth frees all
 * that it has; a name that is hostile to pages.
 */
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static void *volatile kept[10000];
static int n_kept;

NOINLINE static void keep(size_t bytes)
{
    kept[n_kept++] = malloc(bytes);
}
NOINLINE static void alpha()
{
    for (int i = 0; i < 1000; i++)
        keep(100);
}
NOINLINE static void beta()
{
    for (int i = 0; i < 2000; i++)
        keep(50);
    asm volatile("");
}
NOINLINE static void gamma_()
{
    alpha();
    beta();
    asm volatile("");
}
NOINLINE static void churn()
{
    for (int i = 0; i < 5000; i++) {
        void *volatile block = malloc(1000);
        free(block);
    }
}
/* A test writes another name over this one, of the same length. */
extern "C" NOINLINE void hostile_name_hostile_name_hostile_name_hostile()
{
    kept[n_kept++] = malloc(777);
    asm volatile("");
}
NOINLINE static void worker()
{
    for (int i = 0; i < 1000; i++)
        keep(30);
    asm volatile("");
}

int main(int argc, char **)
{
    gamma_();
    churn();
    hostile_name_hostile_name_hostile_name_hostile();
    std::thread(worker).join();
    for (int i = 1; i < argc; i++)
        alpha();
    puts("ready");
    fflush(stdout);
    char c;
    return read(0, &c, 1) < 0;
}
