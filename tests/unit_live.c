/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The live source: memory, tables and threads of a child.
 */
#include "coreanalyze/source/live.h"
#include "tests/unit.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATTERN UINT64_C(0x0123456789abcdef)

static uint64_t planted = PATTERN;
static struct mt_error error;

static void *second_thread(void *ready)
{
    register uint64_t held __asm__("r12") = PATTERN;

    __asm__ volatile("" : "+r"(held));
    if (write(*(int *)ready, "r", 1) != 1)
        _exit(1);
    for (;;)
        __asm__ volatile("pause" : "+r"(held));
    return NULL;
}

/* A child with two threads that run and do nothing else. */
static pid_t start_child(void)
{
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe(ready) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, second_thread, &ready[1]);
        for (;;)
            usleep(1000);
    }
    close(ready[1]);
    if (pid > 0 && read(ready[0], &byte, 1) != 1)
        pid = -1;
    close(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void reads_and_writes(void)
{
    pid_t pid = start_child();
    struct mt_source *source = mt_source_open_pid(pid, &error);
    uint64_t value = 0, other = 7;
    const struct mt_mapping *m;

    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(source->process.pid, (uint32_t)pid);
    CU_ASSERT(
        mt_source_read(source, (uintptr_t)&planted, &value, sizeof value));
    CU_ASSERT_EQUAL(value, PATTERN);
    CU_ASSERT(source->ops->write(source, (uintptr_t)&planted, &other, 8));
    CU_ASSERT(
        mt_source_read(source, (uintptr_t)&planted, &value, sizeof value));
    CU_ASSERT_EQUAL(value, 7);
    CU_ASSERT_EQUAL(mt_source_read_part(source, 16, &value, 8), 0);
    m = mt_source_mapping(source, (uintptr_t)&planted);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT(m->flags & MT_MAP_WRITE);
    CU_ASSERT_EQUAL(source->n_threads, 2);
    mt_source_free(source);
    end_child(pid);
}

/* Part of a range that ends at a hole. */
static void reads_up_to_a_hole(void)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static char buffer[8192];
    struct mt_source *source;

    munmap(pages + 4096, 4096);
    source = mt_source_open_pid(getpid(), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(mt_source_read_part(source, (uintptr_t)pages, buffer, 8192),
                    4096);
    mt_source_free(source);
}

/* Memory that a heap or a trace took after the table of mappings was read, and
 * that has no page yet, is zeros, and gets none by being read. */
static void reads_what_was_mapped_since(void)
{
    char *pages =
        mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static char buffer[3 * 4096];
    struct mt_source *source = mt_source_open_pid(getpid(), &error);
    unsigned char resident[3] = {0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(mprotect(pages, 8192, PROT_READ | PROT_WRITE), 0);
    pages[8191] = 7;
    memset(buffer, 1, sizeof buffer);
    CU_ASSERT_EQUAL(
        mt_source_read_part(source, (uintptr_t)pages, buffer, 3 * 4096), 8192);
    CU_ASSERT(buffer[0] == 0 && buffer[4095] == 0 && buffer[8191] == 7);
    CU_ASSERT_EQUAL(mincore(pages, 3 * 4096, resident), 0);
    CU_ASSERT(!(resident[0] & 1) && (resident[1] & 1));
    mt_source_free(source);
    munmap(pages, 3 * 4096);
}

static void stops_and_goes(void)
{
    pid_t pid = start_child();
    struct mt_source *source = mt_source_open_pid(pid, &error);
    unsigned found = 0, again;
    uint64_t word;

    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    if (!source->ops->stop(source, &error)) {
        unit_skip("ptrace is not allowed here");
    } else {
        CU_ASSERT_EQUAL(source->n_threads, 2);
        for (size_t i = 0; i < source->n_threads; i++) {
            CU_ASSERT(source->threads[i].has_registers);
            CU_ASSERT_NOT_EQUAL(source->threads[i].fs_base, 0);
            /* r12 is the fourth register. */
            found += source->threads[i].registers[3] == PATTERN;
        }
        CU_ASSERT_EQUAL(found, 1);
        again = ((struct live *)source)->n_again;
        /* No mapping is looked up again while it stands still. */
        CU_ASSERT(!mt_source_read(source, 4096, &word, sizeof word));
        CU_ASSERT_EQUAL(((struct live *)source)->n_again, again);
        source->ops->resume(source);
        CU_ASSERT(!mt_source_read(source, 4096, &word, sizeof word));
        CU_ASSERT_EQUAL(((struct live *)source)->n_again, again + 1);
        /* The process can be stopped again, so it had been resumed. */
        CU_ASSERT(source->ops->stop(source, &error));
    }
    mt_source_free(source);
    end_child(pid);
}

static void finds_modules(void)
{
    struct mt_source *source = mt_source_open_pid(getpid(), &error);
    const struct mt_module *own, *libc;

    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    own = mt_source_module(source, (uintptr_t)&finds_modules);
    libc = mt_source_module(source, (uintptr_t)&gnu_get_libc_version);
    CU_ASSERT_PTR_NOT_NULL_FATAL(own);
    CU_ASSERT_PTR_NOT_NULL_FATAL(libc);
    CU_ASSERT_PTR_NOT_NULL(strstr(own->path, "unit_live"));
    CU_ASSERT_PTR_NOT_NULL(strstr(libc->path, "libc"));
    CU_ASSERT_NOT_EQUAL(libc->build_id_bytes, 0);
    mt_source_free(source);
}

static void counts_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 100 * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct mt_source *source = mt_source_open_pid(getpid(), &error);
    struct mt_page_stats stats = {0};
    uint64_t sum = 0;

    madvise(pages, 100 * page, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < 7; i++)
        pages[i * 10 * page] = 1;
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    source->ops->pages(source, (uintptr_t)pages, (uintptr_t)pages + 100 * page,
                       &stats);
    CU_ASSERT(stats.known);
    CU_ASSERT_EQUAL(stats.page_bytes, page);
    CU_ASSERT_EQUAL(stats.populated + stats.swapped, 7);
    for (unsigned i = 0; i < stats.n_nodes; i++)
        sum += stats.node[i];
    CU_ASSERT(!stats.numa_known || sum == stats.populated);
    mt_source_free(source);
    munmap(pages, 100 * page);
}

static void refuses(void)
{
    memset(&error, 0, sizeof error);
    CU_ASSERT_PTR_NULL(mt_source_open_pid(0x3fffff, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no process"));
    CU_ASSERT_PTR_NULL(mt_source_open("4194303", &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no process"));
}

static const struct unit_test tests[] = {
    {"memory is read and written", reads_and_writes},
    {"reading ends at a hole", reads_up_to_a_hole},
    {"what was mapped since is read", reads_what_was_mapped_since},
    {"threads stop, show their registers, and go", stops_and_goes},
    {"modules have paths and build-ids", finds_modules},
    {"populated pages are counted", counts_pages},
    {"what is no process is refused", refuses},
};
UNIT_MAIN(tests)
