/* SPDX-License-Identifier: BSD-2-Clause
 *
 * box.c - the black box: its file, and the memory of the trace region in it.
 *
 * THEORY
 *
 * The file has a header of 64 KiB, then chunks of the trace region in the order
 * in which they were committed, each a PT_LOAD of the core.  Chunks are mapped
 * MAP_SHARED, so the kernel keeps the file current: a store of the heap is in
 * it at once, and SIGKILL takes nothing back.
 *
 * NO SIGBUS.  On a full tmpfs the first touch of a page would be one.  So the
 * kernel is asked for all pages of a chunk before it is mapped (fallocate), and
 * never for fewer later: memory that the heap gives back is zeroed and stays.
 * What does not fit is private memory, and the note counts it as missing.
 * Other file systems are refused: pages of theirs can wait for a disk, and a
 * process at its limit would hang there.
 *
 * FORK.  A child that shared the region would free its parent's blocks.  So
 * chunks are not inherited (MADV_DONTFORK).  Before the fork the parent copies
 * them into private memory, which the child finds and moves into their place;
 * with %p in the name it makes a box of its own.  The copy is of one moment for
 * all that allocates: while there is a box, heaps serve all threads from one
 * cache under a lock (MT_MODE_BOX), captures pass a gate, and both are held.
 * Frees of large blocks and counts of threads that end may come between: the
 * child then has a block more.  A child of a clone() without handlers has no
 * trace region.  If it allocates or frees it dies by SIGSEGV; were the region
 * left to it, it would corrupt the heap of its parent.
 */
#include "heap/seldom.h"
#include "heap/box.h"
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/raw_print.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define TMPFS 0x01021994
#define HIGH_FILE 900 /* descriptors from here on are seldom used */
#define MOST_NAMES 100u

bool mt_box_wanted, mt_box_on;
MT_SELDOM_BSS struct mt_box mt_box;

bool mt_box_set(const char *pattern, size_t length)
{
    if (length == 0 || length >= MT_BOX_NAME - 8 || pattern[0] != '/')
        return false;
    memcpy(mt_box.pattern, pattern, length);
    mt_box.pattern[length] = '\0';
    mt_box_wanted = true;
    return true;
}

/* --- the file --- */

/* %p is the process; a name that is taken gets a number. */
static bool box_expand(uint32_t number)
{
    struct mt_print out = {.text = mt_box.name, .size = MT_BOX_NAME - 1};
    struct mt_pattern_values values = {.pid = mt_box.pid};
    mt_print_pattern(&out, mt_box.pattern, &values);
    if (number > 1) {
        mt_print(&out, ".");
        mt_print_u64(&out, number);
    }
    if (out.length >= MT_BOX_NAME - 1)
        return false;
    mt_box.name[out.length] = '\0';
    return true;
}

static int box_open_new(void)
{
    for (uint32_t i = 1; i < MOST_NAMES && box_expand(i); i++) {
        int file = (int)mt_kernel(
            SYS_openat, AT_FDCWD, mt_box.name,
            O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

static bool box_is_ours(int file)
{
    struct stat status;
    return file >= 0 && mt_kernel(SYS_fstat, file, &status) == 0 &&
           status.st_dev == mt_box.device && status.st_ino == mt_box.inode;
}

/* A program may have closed the descriptor, and may use its number. */
int mt_box_file(void)
{
    if (box_is_ours(mt_box.file))
        return mt_box.file;
    int file = (int)mt_kernel(SYS_openat, AT_FDCWD, mt_box.name,
                              O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (file >= 0 && !box_is_ours(file)) {
        mt_kernel(SYS_close, file);
        file = -1;
    }
    return mt_box.file = file;
}

void mt_box_close(void)
{
    if (box_is_ours(mt_box.file))
        mt_kernel(SYS_close, mt_box.file);
    mt_box.file = -1;
    mt_box.head = NULL;
}

bool mt_box_has_pid(void)
{
    return strstr(mt_box.pattern, "%p") != NULL;
}

bool mt_box_extend(int file, uint64_t bytes)
{
    struct rlimit limit;
    /* Beyond the limit there would be a signal. */
    bool fits = mt_kernel(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 &&
                mt_box.end + bytes <= limit.rlim_cur &&
                mt_kernel(SYS_fallocate, file, 0, mt_box.end, bytes) == 0;
    if (!fits)
        errno = ENOSPC;
    return fits;
}

/* --- the header --- */

static Elf64_Ehdr *box_header(void)
{
    return (Elf64_Ehdr *)mt_box.head;
}

Elf64_Phdr *mt_box_programs(void)
{
    return (Elf64_Phdr *)(mt_box.head + sizeof(Elf64_Ehdr));
}

#define NOTE_HEAD (sizeof(Elf64_Nhdr) + ((sizeof MT_NOTE_NAME + 3) & ~3u))

struct mt_self_note *mt_box_note(void)
{
    return (struct mt_self_note *)(mt_box.head + MT_BOX_NOTE + NOTE_HEAD);
}

void mt_box_miss(uint64_t bytes)
{
    if (mt_box.head)
        __atomic_fetch_add(&mt_box_note()->missing_bytes, bytes,
                           __ATOMIC_RELAXED);
}

static void box_fill_head(void)
{
    Elf64_Nhdr note = {sizeof MT_NOTE_NAME, sizeof(struct mt_self_note),
                       MT_NOTE_SELF};
    *box_header() = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                    EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    memcpy(box_header()->e_ident + EI_PAD, MT_BOX_MARK, sizeof MT_BOX_MARK - 1);
    memcpy(mt_box.head + MT_BOX_NOTE, &note, sizeof note);
    memcpy(mt_box.head + MT_BOX_NOTE + sizeof note, MT_NOTE_NAME,
           sizeof MT_NOTE_NAME);
    *mt_box_note() =
        (struct mt_self_note){.version = 1, .mini = 1, .box = MT_BOX_KEPT};
    mt_box_programs()[0] =
        (Elf64_Phdr){.p_type = PT_NOTE,
                     .p_offset = MT_BOX_NOTE,
                     .p_filesz = NOTE_HEAD + sizeof(struct mt_self_note),
                     .p_align = 4};
}

void mt_box_add(uint64_t address, uint64_t bytes)
{
    struct mt_box_chunk *last = mt_box.n ? &mt_box.chunks[mt_box.n - 1] : NULL;
    Elf64_Phdr *program = &mt_box_programs()[2 + mt_box.n];
    uint64_t offset = mt_box.end;
    mt_box.end += bytes;
    if (last && last->address + last->bytes == address &&
        last->offset + last->bytes == offset) {
        last->bytes += bytes;
        mt_store_release(&program[-1].p_memsz, last->bytes);
        mt_store_release(&program[-1].p_filesz, last->bytes);
        return;
    }
    mt_box.chunks[mt_box.n++] = (struct mt_box_chunk){address, bytes, offset};
    *program = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_flags = PF_R | PF_W,
                            .p_offset = offset,
                            .p_vaddr = address,
                            .p_filesz = bytes,
                            .p_memsz = bytes,
                            .p_align = 1};
    mt_store_release(&box_header()->e_phnum, (Elf64_Half)(2 + mt_box.n));
}

/* --- start and end --- */

static bool box_map_head(void)
{
    mt_box.head = mt_os_reserve(MT_BOX_HEAD, 0);
    if (mt_box.head == NULL)
        return false;
    if (mt_box_extend(mt_box.file, MT_BOX_HEAD) &&
        mt_os_commit_file(mt_box.head, MT_BOX_HEAD, mt_box.file, 0, false))
        return true;
    mt_os_release(mt_box.head, MT_BOX_HEAD);
    mt_box.head = NULL;
    return false;
}

static bool box_check(int file)
{
    struct statfs system;
    struct stat status;
    if (mt_kernel(SYS_fstatfs, file, &system) != 0 ||
        mt_kernel(SYS_fstat, file, &status) != 0)
        return false;
    mt_box.device = status.st_dev;
    mt_box.inode = status.st_ino;
    /* Held as long as anything of the file is mapped, also when the program
     * closes the descriptor: memtrace box --clean asks. */
    mt_kernel(SYS_flock, file, LOCK_EX | LOCK_NB);
    if (system.f_type == TMPFS)
        return true;
    errno = EMEDIUMTYPE;
    return false;
}

bool mt_box_create(void)
{
    mt_box.pid = mt_os_pid();
    mt_box.end = mt_box.n = 0;
    mt_box.over = false;
    mt_box.head = NULL;
    int file = box_open_new(), high;
    if (file < 0)
        return false;
    high = (int)mt_kernel(SYS_fcntl, file, F_DUPFD_CLOEXEC, HIGH_FILE);
    mt_box.file = high >= 0 ? high : file;
    if (high >= 0)
        mt_kernel(SYS_close, file);
    if (box_check(mt_box.file) && box_map_head()) {
        mt_box.end = MT_BOX_HEAD;
        box_fill_head();
        return true;
    }
    int problem = errno;
    mt_kernel(SYS_unlink, mt_box.name);
    mt_kernel(SYS_close, mt_box.file);
    mt_box.file = -1;
    errno = problem;
    return false;
}

bool mt_box_start(void)
{
    mt_box_on = mt_box_create();
    if (!mt_box_on)
        mt_report_file(
            "no box: ", mt_box.name[0] ? mt_box.name : mt_box.pattern,
            errno == EMEDIUMTYPE ? ": not on a tmpfs, as /dev/shm is" : "",
            errno == EMEDIUMTYPE ? 0 : errno);
    return mt_box_on;
}

void mt_box_end(void)
{
    struct stat status;
    if (!mt_box_on || mt_box.head == NULL || mt_box.pid != mt_os_pid())
        return;
    int saved = errno;
    if (mt_kernel(SYS_newfstatat, AT_FDCWD, mt_box.name, &status,
                  AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == mt_box.device && status.st_ino == mt_box.inode)
        mt_kernel(SYS_unlink, mt_box.name);
    errno = saved;
}

/* --- memory --- */

static bool box_append(void *address, size_t bytes)
{
    int file = mt_box.over || mt_box.n == MT_BOX_CHUNKS ? -1 : mt_box_file();
    if (file < 0 || !mt_box_extend(file, bytes)) {
        errno = ENOSPC;
        return false;
    }
    if (!mt_os_commit_file(address, bytes, file, mt_box.end, false)) {
        int problem = errno;
        mt_kernel(SYS_ftruncate, file, mt_box.end);
        errno = problem;
        return false;
    }
    mt_box_add((uintptr_t)address, bytes);
    return true;
}

bool mt_box_commit(void *address, size_t bytes)
{
    bool ok = false;
    errno = ENOSPC;
    if (!mt_sandbox.level && !mt_load_relaxed(&mt_sandbox_any)) {
        mt_lock_acquire(&mt_box.lock);
        ok = box_append(address, bytes);
        mt_lock_release(&mt_box.lock);
    }
    if (ok || errno == EEXIST)
        return ok;
    ok = mt_os_commit(address, bytes);
    if (ok)
        mt_box_miss(bytes);
    return ok;
}

void mt_box_zero(void *address, size_t bytes)
{
    memset(address, 0, bytes);
}

/* --- the gate --- */

/* Who holds it may come again: a handler of a signal, or of SIGABRT. */
static struct {
    struct mt_lock lock;
    uint64_t owner; /* its thread pointer */
    uint32_t depth;
} gate;

static uint64_t box_thread(void)
{
    uint64_t pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

void mt_box_enter(void)
{
    if (mt_load_relaxed(&gate.owner) != box_thread()) {
        mt_lock_acquire(&gate.lock);
        mt_store_relaxed(&gate.owner, box_thread());
    }
    gate.depth++;
}

void mt_box_leave(void)
{
    if (--gate.depth > 0)
        return;
    mt_store_relaxed(&gate.owner, 0);
    mt_lock_release(&gate.lock);
}

void mt_box_gate_reset(void)
{
    gate.depth = 0;
    mt_store_relaxed(&gate.owner, 0);
    mt_lock_reset(&gate.lock);
}
