/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_memory.c - reads memory of a process as it is now, and never brings in
 * a page.
 *
 * A read of a page that is not there gives it memory: to holes of shared memory
 * for good, and charged to the process.  So the page table is asked first, and
 * what is not in it is read another way: private memory that was never written
 * to is zeros; the pages of a file are read from the file, where tmpfs gives
 * zeros for holes and a file on disk what the page cache has.
 *
 * Memory comes by process_vm_readv, or by /proc/TID/mem where that is denied;
 * the latter also reads pages without PROT_READ.
 */
#include "coreanalyze/source/backing.h"
#include "coreanalyze/source/live.h"
#include "coreanalyze/source/page_walk.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PEEK_BYTES (UINT64_C(1) << 20) /* that are asked about at once */
#define MOST_AGAIN 64 /* look-ups of mappings again, in a source's life */

size_t mt_live_read_present(struct live *live, uint64_t address, void *buffer,
                            size_t bytes)
{
    size_t done = 0;

    mt_hold_beat(&live->holder);
    while (done < bytes) {
        struct iovec to = {(char *)buffer + done, bytes - done};
        struct iovec from = {(void *)(uintptr_t)(address + done), bytes - done};
        bool by_file = __atomic_load_n(&live->by_file, __ATOMIC_RELAXED);
        ssize_t got = -1;
        if (!by_file)
            got = process_vm_readv(live->tid, &to, 1, &from, 1, 0);
        /* Not so for one page alone: it may not be readable. */
        if (got < 0 && !by_file && errno != EFAULT)
            __atomic_store_n(&live->by_file, true, __ATOMIC_RELAXED);
        if (got <= 0)
            got = pread(live->mem, to.iov_base, to.iov_len,
                        (off_t)(address + done));
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

bool mt_live_gone(struct live *live)
{
    if (!mt_page_table_there(live->pagemap))
        __atomic_store_n(&live->source.coverage.ended, true, __ATOMIC_RELAXED);
    return __atomic_load_n(&live->source.coverage.ended, __ATOMIC_RELAXED);
}

/* The first run of a range that has memory. */
struct first_run {
    uint64_t from;
    bool shared, found;
    struct mt_page_run run;
};

static bool take_first(void *context, const struct mt_page_run *run)
{
    struct first_run *first = context;

    /* The page table of shared memory has markers, but no swap entries. */
    if (first->shared && run->swapped)
        return true;
    if (first->found && run->start == first->run.end) {
        first->run.end = run->end;
        return true;
    }
    if (first->found)
        return false;
    first->found = true;
    first->run = *run;
    return true;
}

/* The last file that was read from stays open. */
static size_t read_backing(struct live *live, const struct mt_mapping *m,
                           uint64_t address, void *buffer, size_t bytes)
{
    off_t offset = (off_t)(m->file_offset + (address - m->start));
    struct iovec to = {buffer, bytes};
    ssize_t got = 0;

    pthread_mutex_lock(&live->lock);
    if (live->backing_of != m->start || live->backing.file < 0) {
        mt_backing_close(&live->backing);
        live->backing = mt_backing_open(live->tid, m);
        live->backing_of = m->start;
    }
    if (live->backing.kind == MT_BACKING_DISK && !(m->flags & MT_MAP_PRIVATE))
        got = preadv2(live->backing.file, &to, 1, offset, RWF_NOWAIT);
    else if (live->backing.file >= 0)
        got = pread(live->backing.file, buffer, bytes, offset);
    pthread_mutex_unlock(&live->lock);
    return got > 0 ? (size_t)got : 0;
}

/* Bytes of memory without a page that are known all the same. */
static size_t read_empty(struct live *live, const struct mt_mapping *m,
                         uint64_t address, void *buffer, size_t bytes)
{
    if ((!mt_live_table_kept(live) && mt_live_gone(live)) || !m ||
        !(m->flags & MT_MAP_READ))
        return 0;
    if (m->inode) {
        size_t got = read_backing(live, m, address, buffer, bytes);
        /* A page of a file that is mapped privately costs the process no
         * memory: it belongs to the page cache. */
        if (got == 0 && (m->flags & MT_MAP_PRIVATE))
            got = mt_live_read_present(live, address, buffer, bytes);
        return got;
    }
    if (!(m->flags & MT_MAP_PRIVATE))
        return 0;
    memset(buffer, 0, bytes);
    return bytes;
}

/* The table of mappings holds for a process that stands still, and for what was
 * captured of one. */
static bool table_holds(const struct live *live)
{
    const struct mt_source *source = &live->source;

    return (source->still && source->mappings) || source->word_copy ||
           (live->holder.shared && source->coverage.threads_running == 0);
}

/* A process that runs may have made the mapping readable since the table of
 * them was read: its heap and its trace grow so.  To look takes as long as
 * there are mappings. */
static const struct mt_mapping *mapping_by_now(struct live *live,
                                               const struct mt_mapping *m,
                                               uint64_t address,
                                               struct mt_mapping *now)
{
    if ((m && m->flags & MT_MAP_READ) || table_holds(live) ||
        __atomic_fetch_add(&live->n_again, 1, __ATOMIC_RELAXED) >= MOST_AGAIN ||
        !mt_live_mapping_now(live->tid, address, now))
        return m;
    return now;
}

/* Bytes at an address that have memory (`there`), or that have none; 0 if the
 * page table cannot be read. */
static size_t peek_run(struct live *live, const struct mt_mapping *m,
                       uint64_t at, uint64_t end, bool *there)
{
    struct first_run first = {.from = at};

    if (m && end > m->end)
        end = m->end;
    first.shared = m && !(m->flags & MT_MAP_PRIVATE);
    if (!mt_live_walk(live, at, end, take_first, &first))
        return 0;
    *there = first.found && first.run.start <= at;
    if (*there)
        end = first.run.end < end ? first.run.end : end;
    else if (first.found)
        end = first.run.start < end ? first.run.start : end;
    return (size_t)(end - at);
}

size_t mt_live_peek(struct live *live, uint64_t address, void *buffer,
                    size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        uint64_t at = address + done, end = address + bytes;
        const struct mt_mapping *m = mt_source_mapping(&live->source, at);
        const struct mt_mapping *newer;
        struct mt_mapping now;
        size_t n, got;
        bool there;

        end = end - at < PEEK_BYTES ? end : at + PEEK_BYTES;
        n = peek_run(live, m, at, end, &there);
        newer = n == 0 || there ? m : mapping_by_now(live, m, at, &now);
        if (newer != m) {
            m = newer;
            n = peek_run(live, m, at, end, &there);
        }
        if (n == 0) {
            mt_live_gone(live);
            break;
        }
        got = there ? mt_live_read_present(live, at, (char *)buffer + done, n)
                    : read_empty(live, m, at, (char *)buffer + done, n);
        done += got;
        if (got < n) {
            mt_live_gone(live);
            break;
        }
    }
    return done;
}
