/* SPDX-License-Identifier: BSD-2-Clause
 *
 * box_notes.c - the notes of a black box: the process, its files, and the data
 * of the dynamic linker, as they were at the start.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/exit/at_exit.h"
#include "heap/trace_region.h"

#define PAGE 4096u

/* A piece of memory as it is now.  It is not of the region: forks do not copy
 * it. */
static bool box_write_piece(struct mt_exit *a,
                            const struct mt_exit_range *piece)
{
    Elf64_Phdr *program = &mt_box_programs()[2 + mt_box.n];
    uint64_t bytes = piece->end - piece->start;
    mt_box.end += (piece->start - mt_box.end) & 7;
    if (mt_box.n == MT_BOX_CHUNKS ||
        !mt_exit_write_at(a, (const void *)(uintptr_t)piece->start, bytes,
                          mt_box.end))
        return false;
    mt_box_add(piece->start, bytes);
    if (program->p_type == PT_LOAD) /* it was not joined with the one before */
        mt_box.chunks[mt_box.n - 1].bytes = 0;
    return true;
}

/* What debuggers find the modules by, and the symbol of the trace.  Without
 * room for it the box is as good to memtrace. */
static void box_write_pieces(struct mt_exit *a)
{
    uint64_t after = 0;
    mt_exit_links(a);
    for (size_t i = 0; i < a->n_ranges; i++) {
        struct mt_exit_range piece = a->ranges[i];
        if (piece.start < after)
            piece.start = after;
        if (piece.end <= piece.start)
            continue;
        after = piece.end;
        if (!box_write_piece(a, &piece))
            break;
    }
    mt_box.end = (mt_box.end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static void box_write_notes(struct mt_exit *a)
{
    uint64_t start = mt_box.end;
    a->offset = start;
    mt_exit_notes(a);
    if (a->problem) {
        mt_box_miss(a->offset - start);
        return;
    }
    mt_box_programs()[1] = (Elf64_Phdr){.p_type = PT_NOTE,
                                        .p_offset = start,
                                        .p_filesz = a->offset - start,
                                        .p_align = 4};
    mt_box.end = (a->offset + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

void mt_box_publish(void)
{
    int file = mt_box_on && mt_box.head ? mt_box_file() : -1;
    struct mt_exit *a = file >= 0 ? mt_os_reserve(sizeof *a, 0) : NULL;
    if (a == NULL)
        return;
    if (mt_os_commit(a, sizeof *a)) {
        a->file = file;
        a->box = true;
        a->maps_bytes =
            mt_exit_read_file(MT_EXIT_SELF "maps", a->maps, sizeof a->maps);
        box_write_notes(a);
        box_write_pieces(a);
        mt_os_uncommit(a, sizeof *a);
    }
    mt_os_release(a, sizeof *a);
}
