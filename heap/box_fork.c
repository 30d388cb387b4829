/* SPDX-License-Identifier: BSD-2-Clause
 *
 * box_fork.c - a black box and fork: the child's trace is a copy (box.c).
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/box.h"
#include "heap/kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static bool fork_copy(void)
{
    uint64_t at = 0;
    mt_box.copy_bytes = 0;
    for (uint32_t i = 0; i < mt_box.n; i++)
        mt_box.copy_bytes += mt_box.chunks[i].bytes;
    mt_box.copy = mt_os_reserve(mt_box.copy_bytes, 0);
    if (mt_box.copy && !mt_os_commit(mt_box.copy, mt_box.copy_bytes)) {
        mt_os_release(mt_box.copy, mt_box.copy_bytes);
        mt_box.copy = NULL;
    }
    for (uint32_t i = 0; mt_box.copy && i < mt_box.n; i++) {
        const struct mt_box_chunk *c = &mt_box.chunks[i];
        memcpy(mt_box.copy + at, (const void *)(uintptr_t)c->address, c->bytes);
        at += c->bytes;
    }
    return mt_box.copy != NULL;
}

/* Without memory for the copy the box ends here: the pages become private, and
 * the child inherits them as any others.  The file is not written again, so
 * pages that nobody has changed are the same in both. */
static void fork_end_box(void)
{
    int file = mt_box_file();
    for (uint32_t i = 0; i < mt_box.n && file >= 0; i++) {
        const struct mt_box_chunk *c = &mt_box.chunks[i];
        if (c->bytes)
            mt_kernel(SYS_mmap, c->address, c->bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_FIXED, file, c->offset);
    }
    mt_box.over = true;
    mt_box_note()->box = MT_BOX_ENDED;
}

void mt_box_fork_prepare(bool locked)
{
    int saved = errno;
    if (!mt_box_on)
        return;
    if (locked)
        mt_lock_acquire(&mt_box.lock);
    if (!mt_box.over && !fork_copy())
        fork_end_box();
    errno = saved;
}

void mt_box_fork_parent(bool locked)
{
    int saved = errno;
    if (!mt_box_on)
        return;
    if (mt_box.copy) {
        mt_os_uncommit(mt_box.copy, mt_box.copy_bytes);
        mt_os_release(mt_box.copy, mt_box.copy_bytes);
        mt_box.copy = NULL;
    }
    if (locked)
        mt_lock_release(&mt_box.lock);
    errno = saved;
}

/* The copy takes the place of the chunks, which the child has not. */
static void fork_move_copy(void)
{
    char *from = mt_box.copy;
    for (uint32_t i = 0; i < mt_box.n; i++) {
        const struct mt_box_chunk *c = &mt_box.chunks[i];
        if (c->bytes)
            mt_kernel(SYS_mremap, from, c->bytes, c->bytes,
                      MREMAP_MAYMOVE | MREMAP_FIXED, c->address);
        from += c->bytes;
    }
    mt_os_release(mt_box.copy, mt_box.copy_bytes);
    mt_box.copy = NULL;
}

static bool fork_write(int file, const struct mt_box_chunk *c)
{
    const char *from = (const char *)(uintptr_t)c->address;
    uint64_t left = c->bytes, to = mt_box.end;
    while (left > 0) {
        long n = mt_kernel(SYS_pwrite64, file, from, left, to);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        to += (uint64_t)n;
        left -= (uint64_t)n;
    }
    return true;
}

/* Private memory of the child becomes a chunk of its box, or stays private. */
static bool fork_adopt(const struct mt_box_chunk *c)
{
    int file = mt_box_file();
    if (file < 0 || !mt_box_extend(file, c->bytes) || !fork_write(file, c) ||
        !mt_os_commit_file((void *)(uintptr_t)c->address, c->bytes, file,
                           mt_box.end, true))
        return false;
    mt_box_add(c->address, c->bytes);
    return true;
}

void mt_box_fork_child(void)
{
    int saved = errno;
    if (!mt_box_on)
        return;
    uint32_t n = mt_box.n;
    bool over = mt_box.over;
    mt_lock_reset(&mt_box.lock);
    if (mt_box.copy)
        fork_move_copy();
    mt_box_close();
    mt_box_on = mt_box_has_pid() && mt_box_create();
    /* The list of chunks is written over from its start: never beyond i. */
    for (uint32_t i = 0; mt_box_on && i < n; i++) {
        struct mt_box_chunk c = mt_box.chunks[i];
        if (c.bytes && !fork_adopt(&c))
            mt_box_miss(c.bytes);
    }
    /* Private pages of the file must be zeroed by hand still. */
    if (!mt_box_on && over)
        mt_box_on = mt_box.over = true;
    errno = saved;
}
