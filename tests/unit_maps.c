/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_maps.c - the lock of the table of mapped memory: a thread that holds it
 * for longer than the others wait costs what they map until it lets go, and no
 * more.
 */
#include "heap/map_table.h"
#include "tests/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define START UINT64_C(0x100000000000)
#define BYTES ((size_t)8192)
#define STACK 7u

static sem_t held, let_go;

static uint64_t lost(void)
{
    return memtrace_root->sections[MT_SECTION_MAPS].overflow;
}

/* Is the range recorded, and then taken out? */
static bool has(uint64_t start)
{
    size_t bytes = BYTES;
    uint32_t stack = 0;
    return mt_map_clear(start, &bytes, &stack) == MT_MAPPED_ANONYMOUS &&
           stack == STACK;
}

static bool records(uint64_t start)
{
    mt_map_set(start, BYTES, MT_MAPPED_ANONYMOUS, STACK);
    return has(start);
}

static uintptr_t move_slowly(void *to)
{
    sem_post(&held);
    while (sem_wait(&let_go) != 0)
        continue;
    return (uintptr_t)to;
}

static void *moves(void *to)
{
    const struct mt_map_move move = {.old_start = START,
                                     .old_bytes = BYTES,
                                     .new_bytes = BYTES,
                                     .context = to,
                                     .move = move_slowly};
    mt_map_moved(&move);
    return NULL;
}

static void *lets_go(void *unused)
{
    usleep(5000);
    sem_post(&let_go);
    return unused;
}

/* Is a lock that is held for a moment waited for?  On a busy machine a moment
 * may be long. */
static bool is_waited_for(void)
{
    for (int i = 0; i < 20; i++) {
        pthread_t mover, releaser;
        pthread_create(&mover, NULL, moves, (void *)(uintptr_t)START);
        while (sem_wait(&held) != 0)
            continue;
        pthread_create(&releaser, NULL, lets_go, NULL);
        bool was_recorded = records(START + 32 * BYTES);
        pthread_join(releaser, NULL);
        pthread_join(mover, NULL);
        if (was_recorded)
            return true;
    }
    return false;
}

static void used_again(void)
{
    pthread_t thread;
    void *to = (void *)(uintptr_t)(START + 16 * BYTES);
    CU_ASSERT_FATAL(mt_start());
    sem_init(&held, 0, 0);
    sem_init(&let_go, 0, 0);
    mt_map_set(START, BYTES, MT_MAPPED_ANONYMOUS, STACK);
    uint64_t before = lost();
    pthread_create(&thread, NULL, moves, to);
    while (sem_wait(&held) != 0)
        continue;
    CU_ASSERT_FALSE(records(START + 32 * BYTES));
    uint64_t after = lost();
    CU_ASSERT(after > before);
    sem_post(&let_go);
    pthread_join(thread, NULL);
    CU_ASSERT(records(START + 64 * BYTES));
    CU_ASSERT(has((uintptr_t)to));
    CU_ASSERT_EQUAL(lost(), after);
    CU_ASSERT(is_waited_for());
}

/* A child that has a copy of the lock, and not the thread that holds it. */
static void forked(void)
{
    pthread_t thread;
    int status = -1;
    mt_map_set(START, BYTES, MT_MAPPED_ANONYMOUS, STACK);
    pthread_create(&thread, NULL, moves, (void *)(uintptr_t)START);
    while (sem_wait(&held) != 0)
        continue;
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child == 0)
        _exit(records(START + 32 * BYTES) ? 1 : lost() ? 0 : 2);
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    sem_post(&let_go);
    pthread_join(thread, NULL);
    CU_ASSERT(records(START + 64 * BYTES));
}

static const struct unit_test tests[] = {
    {"a lock that was held for long is taken again", used_again},
    {"a child of fork without handlers does not wait for it", forked},
};
UNIT_MAIN(tests)
