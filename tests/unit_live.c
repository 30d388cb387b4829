/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The live source: memory, tables and threads of a child.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/source/proc_task.h"
#include "tests/unit.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
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

static bool filter_begin(void *context, struct mt_source *source,
                         struct mt_error *why)
{
    (void)source;
    (void)why;
    ++*(unsigned *)context;
    return true;
}

static bool filter_needs(const void *context, uint64_t start, uint64_t end)
{
    (void)context;
    return start < end;
}

static void filter_choose(const void *context, uint64_t address,
                          const uint64_t *words, size_t n_pages, uint64_t *bits)
{
    (void)context;
    (void)address;
    (void)words;
    memset(bits, 0, n_pages * 64);
}

/* Captures a process that stands still; says how often the filter began. */
static struct mt_source *capture_still(pid_t pid, unsigned *began)
{
    struct mt_word_filter filter = {filter_begin, filter_needs, filter_choose,
                                    began};
    struct mt_source *source;

    *began = 0;
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    source = mt_source_open_still(pid, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT(source->ops->capture(source, &filter, false, &error));
    CU_ASSERT(source->captured.copied);
    return source;
}

/* All parts are kept, as they are; an untouched page between two is empty. */
static void is_kept_whole(struct mt_source *source, pid_t pid)
{
    uint64_t start, bytes, read = 0;

    for (size_t i = 0; i < source->n_present; i++) {
        const struct mt_present *p = &source->present[i];
        size_t n = p->end - p->start;
        uint8_t *now = malloc(n), *copy = malloc(n);
        struct iovec to = {now, n}, from = {(void *)(uintptr_t)p->start, n};
        const uint8_t *data =
            source->ops->extent(source, p->end - 1, &start, &bytes);
        CU_ASSERT_FATAL(now && copy && data);
        CU_ASSERT(start == p->start && bytes == n);
        CU_ASSERT_EQUAL(process_vm_readv(pid, &to, 1, &from, 1, 0), (ssize_t)n);
        CU_ASSERT(memcmp(data, now, n) == 0);
        CU_ASSERT(mt_source_read(source, p->start, copy, n));
        CU_ASSERT(memcmp(copy, now, n) == 0);
        CU_ASSERT(source->ops->view(source, p->end - 8, 8) == data + n - 8);
        CU_ASSERT_PTR_NULL(source->ops->view(source, p->end - 8, 9));
        read += n;
        free(now);
        free(copy);
    }
    CU_ASSERT_EQUAL(source->captured.bytes, read);
    CU_ASSERT(read > 0);
}

static void keeps_small_ones_whole(void)
{
    const int kind = PROT_READ | PROT_WRITE;
    bool *ready = mmap(NULL, 4096, kind, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t large = 4 << 20;
    unsigned began;
    pid_t pid = fork();
    struct mt_source *source;

    if (pid == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(1);
    }
    /* It has called execve once it sleeps. */
    for (char name[16] = ""; strcmp(name, "sleep") != 0; usleep(1000))
        mt_proc_name(pid, name);
    source = capture_still(pid, &began);
    /* Only newer kernels give the page table at once. */
    if (mt_live_table_kept((struct live *)source)) {
        CU_ASSERT_EQUAL(began, 0);
        CU_ASSERT_PTR_NULL(source->word_copy);
        is_kept_whole(source, pid);
    }
    mt_source_free(source);
    end_child(pid);

    pid = fork();
    if (pid == 0) {
        mmap(NULL, large, kind, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
             0);
        __atomic_store_n(ready, true, __ATOMIC_RELEASE);
        for (;;)
            pause();
    }
    while (!__atomic_load_n(ready, __ATOMIC_ACQUIRE))
        usleep(1000);
    source = capture_still(pid, &began);
    CU_ASSERT_EQUAL(began, 1);
    CU_ASSERT_PTR_NOT_NULL(source->word_copy);
    CU_ASSERT_PTR_NULL(source->ops->extent);
    mt_source_free(source);
    end_child(pid);
    munmap(ready, 4096);
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
    {"a small process that stands still is kept whole", keeps_small_ones_whole},
    {"what is no process is refused", refuses},
};
UNIT_MAIN(tests)
