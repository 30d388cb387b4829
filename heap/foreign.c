/* SPDX-License-Identifier: BSD-2-Clause
 *
 * foreign.c - what an error says of a block that is in no heap: the module
 * that called, and the other allocators that are loaded, one of which may
 * have given it.
 *
 * AS-safe, and without the linker's lock: the linker's records are read only
 * where they are readable.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/capture/object.h"
#include "heap/capture/unwind.h"
#include "heap/raw_print.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#define FOREIGN_FRAMES 24u
#define MOST_OBJECTS 4096u

/* How file names of allocators that give blocks of their own begin. */
static const char *const allocators[] = {
    "libjemalloc",  "libtcmalloc", "libmimalloc", "libtbbmalloc",
    "libsnmalloc",  "librpmalloc", "libhoard",    "libscudo",
    "libnedmalloc", "libumem",     "libdmalloc",  "libduma"};

/* The registers here. */
static inline __attribute__((always_inline)) void own_regs(struct mt_regs *regs)
{
    __asm__ volatile("lea 0f(%%rip), %%rax\n"
                     "0: mov %%rax, (%0)\n"
                     "mov %%rsp, 8(%0)\n"
                     "mov %%rbp, 16(%0)\n"
                     "mov %%rbx, 24(%0)\n"
                     "mov %%r12, 32(%0)\n"
                     "mov %%r13, 40(%0)\n"
                     "mov %%r14, 48(%0)\n"
                     "mov %%r15, 56(%0)\n"
                     :
                     : "r"(regs)
                     : "rax", "memory");
}

static const char *base_name(const struct link_map *map)
{
    const char *name = map->l_name;
    if (!name || !mt_os_readable(name, 1))
        return "";
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static bool is_allocator(const char *name)
{
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
        if (strncmp(name, allocators[i], strlen(allocators[i])) == 0)
            return true;
    return false;
}

static void print_allocators(struct mt_print *out, const struct link_map *map)
{
    for (unsigned i = 0; map && i < MOST_OBJECTS; i++, map = map->l_next) {
        if (!mt_os_readable(map, sizeof *map))
            return;
        const char *name = base_name(map);
        if (is_allocator(name)) {
            mt_print(out, "; ");
            mt_print(out, name);
            mt_print(out, " is loaded");
        }
    }
}

static void print_caller(struct mt_print *out, const struct mt_object *object)
{
    const struct link_map *map = object->link_map;
    const char *name =
        map && mt_os_readable(map, sizeof *map) ? base_name(map) : "";
    mt_print(out, ", called from ");
    mt_print(out, *name ? name : program_invocation_short_name);
}

MT_COLD void mt_foreign_print(struct mt_print *out)
{
    uint64_t frames[FOREIGN_FRAMES];
    struct mt_unwinding u = {.frames = frames, .max_frames = FOREIGN_FRAMES};
    struct mt_regs regs;
    struct mt_object own, object;
    own_regs(&regs);
    if (!mt_object_find(regs.rip, &own))
        return;
    mt_unwind(&u, &regs);
    for (unsigned i = 0; i < u.n_frames; i++)
        if (mt_object_find(frames[i] - 1, &object) &&
            object.start != own.start) {
            print_caller(out, &object);
            break;
        }
    print_allocators(out, _r_debug.r_map);
}
