/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads that `check` follows: found by number, counted by process.
 */
#include "coreanalyze/check/traced.h"
#include "coreanalyze/source/thread_order.h"
#include "tests/unit.h"

#include <stdlib.h>

#define N 20000
#define PROCESSES 7

/* Threads N + 1 ... 2 N; their processes are the first ones. */
static pid_t process_of(pid_t tid)
{
    return N + 1 + tid % PROCESSES;
}

static bool counts_are(const struct mt_traced_table *table, pid_t pid,
                       size_t running, size_t held)
{
    return table->ids[pid].running == running && table->ids[pid].held == held;
}

static void finds_threads(void)
{
    struct mt_traced_table table;
    size_t wrong = 0, running[PROCESSES] = {0}, held[PROCESSES] = {0};

    CU_ASSERT_FATAL(mt_traced_init(&table));
    for (pid_t tid = N + 1; tid <= 2 * N; tid++)
        wrong += !mt_traced_add(&table, tid, process_of(tid));
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(table.n, N);
    CU_ASSERT_PTR_NULL(mt_traced_find(&table, N));
    CU_ASSERT_PTR_NULL(mt_traced_find(&table, -1));
    CU_ASSERT_PTR_NULL(mt_traced_find(&table, 1 << 30));
    CU_ASSERT_PTR_NULL(mt_traced_add(&table, 1 << 30, 1));
    /* One in three is held, and one in five forgotten. */
    for (pid_t tid = N + 1; tid <= 2 * N; tid++) {
        struct mt_traced *t = mt_traced_find(&table, tid);
        wrong += !t || t->tid != tid || t->pid != process_of(tid);
        if (t && tid % 3 == 0)
            mt_traced_hold(&table, t, true);
        if (t && tid % 5 == 0)
            mt_traced_forget(&table, t);
        else if (tid % 3 == 0)
            held[tid % PROCESSES]++;
        else
            running[tid % PROCESSES]++;
    }
    for (pid_t tid = N + 1; tid <= 2 * N; tid++) {
        struct mt_traced *t = mt_traced_find(&table, tid);
        wrong += tid % 5 == 0 ? t != NULL : !t || t->tid != tid;
        wrong += t && t->held != (tid % 3 == 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        CU_ASSERT(
            counts_are(&table, process_of((pid_t)i), running[i], held[i]));
    while (table.n > 0)
        mt_traced_forget(&table, &table.all[table.n / 2]);
    for (unsigned i = 0; i < PROCESSES; i++)
        CU_ASSERT(counts_are(&table, process_of((pid_t)i), 0, 0));
    mt_traced_done(&table);
}

static void orders_threads(void)
{
    static struct mt_thread threads[1000];
    struct mt_thread_order order;
    size_t wrong = 0;

    for (uint32_t i = 0; i < 1000; i++)
        threads[i].tid = 5 + 7 * (i * 389 % 1000);
    CU_ASSERT_FATAL(mt_thread_order_make(&order, threads, 1000));
    for (uint32_t tid = 0; tid < 7010; tid++) {
        const struct mt_thread *t = mt_thread_order_find(&order, tid);
        bool there = tid >= 5 && (tid - 5) % 7 == 0 && tid < 5 + 7 * 1000;
        wrong += there ? !t || t->tid != tid : t != NULL;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    mt_thread_order_free(&order);
    CU_ASSERT_FATAL(mt_thread_order_make(&order, NULL, 0));
    CU_ASSERT_PTR_NULL(mt_thread_order_find(&order, 1));
    mt_thread_order_free(&order);
}

static const struct unit_test tests[] = {
    {"threads are found by number and counted by process", finds_threads},
    {"threads of a source are found by number", orders_threads},
};

UNIT_MAIN(tests)
