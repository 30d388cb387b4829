/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refused.c - which programs can not have this library: those of 32 bits or
 * another machine, of another C library's dynamic linker, and with the runtime
 * of a sanitizer, which has a malloc of its own and wants to be first.
 *
 * It runs between vfork() and execve(): system calls and the stack alone.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "preload/refused.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#define LINKER "ld-linux-x86-64.so.2"
#define MOST_NAMES                                                             \
    (1u << 20) /* bytes of a table of names that are searched                  \
                */
#define MOST_HEADERS 64u
#define MOST_ENTRIES 256u
#define MOST_SCRIPTS 4 /* whose interpreters are scripts */

/* Symbols that a program with a sanitizer's runtime in itself exports, or names
 * of the runtime's library.  The last three: a runtime that nothing of its own
 * names; it has an allocator if it has the third.  That of
 * UndefinedBehaviorSanitizer has none. */
static const char *const sanitizers[] = {
    "__asan_init",      "__tsan_init",      "__msan_init",
    "__lsan_init",      "__hwasan_init",    "libasan.so",
    "libtsan.so",       "liblsan.so",       "libhwasan.so",
    "libclang_rt.asan", "libclang_rt.tsan", "__sanitizer_symbolize_",
    "N11__sanitizer",   "pvalloc"};
#define N_SANITIZERS (sizeof sanitizers / sizeof *sanitizers)
#define ALLOCATOR (1u << (N_SANITIZERS - 1))
#define RUNTIME (3u << (N_SANITIZERS - 3))
#define NAMED ((1u << (N_SANITIZERS - 3)) - 1)

static MT_NOINLINE bool read_at(int file, void *to, size_t bytes,
                                uint64_t offset)
{
    return mt_kernel_raw(SYS_pread64, file, (long)to, (long)bytes, (long)offset,
                         0, 0) == (long)bytes;
}

/* The table of names, read piece by piece; pieces overlap. */
static bool names_sanitizer(int file, uint64_t offset, uint64_t bytes)
{
    enum { OVERLAP = 32 };
    char text[1024];
    uint32_t found = 0;
    for (uint64_t at = 0; at < bytes && at < MOST_NAMES;) {
        size_t n = bytes - at < sizeof text ? bytes - at : sizeof text;
        if (!read_at(file, text, n, offset + at))
            return false;
        for (size_t i = 0; i < N_SANITIZERS; i++)
            if (memmem(text, n, sanitizers[i], strlen(sanitizers[i])))
                found |= 1u << i;
        if (found & NAMED || (found & RUNTIME && found & ALLOCATOR))
            return true;
        if (n < sizeof text)
            break;
        at += n - OVERLAP;
    }
    return false;
}

static uint64_t file_offset(int file, const Elf64_Ehdr *e, uint64_t address)
{
    for (unsigned i = 0; i < e->e_phnum && i < MOST_HEADERS; i++) {
        Elf64_Phdr p;
        if (read_at(file, &p, sizeof p, e->e_phoff + i * sizeof p) &&
            p.p_type == PT_LOAD && address - p.p_vaddr < p.p_filesz)
            return address - p.p_vaddr + p.p_offset;
    }
    return 0;
}

static bool needs_sanitizer(int file, const Elf64_Ehdr *e,
                            const Elf64_Phdr *dynamic)
{
    uint64_t names = 0, bytes = 0;
    for (unsigned i = 0; i < MOST_ENTRIES; i++) {
        Elf64_Dyn d;
        if (!read_at(file, &d, sizeof d, dynamic->p_offset + i * sizeof d) ||
            d.d_tag == DT_NULL)
            break;
        if (d.d_tag == DT_STRTAB)
            names = file_offset(file, e, d.d_un.d_ptr);
        if (d.d_tag == DT_STRSZ)
            bytes = d.d_un.d_val;
    }
    return names && names_sanitizer(file, names, bytes);
}

static bool has_other_linker(int file, const Elf64_Phdr *interpreter)
{
    char path[256];
    size_t n = interpreter->p_filesz;
    if (n < 2 || n > sizeof path ||
        !read_at(file, path, n, interpreter->p_offset))
        return false;
    path[n - 1] = '\0';
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, LINKER) != 0;
}

static bool is_refused(int file, const Elf64_Ehdr *e)
{
    if (e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_machine != EM_X86_64)
        return true;
    for (unsigned i = 0; i < e->e_phnum && i < MOST_HEADERS; i++) {
        Elf64_Phdr p;
        if (!read_at(file, &p, sizeof p, e->e_phoff + i * sizeof p))
            return false;
        if ((p.p_type == PT_INTERP && has_other_linker(file, &p)) ||
            (p.p_type == PT_DYNAMIC && needs_sanitizer(file, e, &p)))
            return true;
    }
    return false;
}

/* Makes a script's first line the path of its interpreter. */
static bool interpreter_of(char line[256], int file)
{
    long n = mt_kernel_raw(SYS_pread64, file, (long)line, 255, 0, 0, 0);
    if (n < 4 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = '\0';
    char *path = line + 2 + strspn(line + 2, " \t");
    path[strcspn(path, " \t\r\n")] = '\0';
    memmove(line, path, strlen(path) + 1);
    return line[0] == '/';
}

MT_COLD bool mt_runs_untraced(int folder, const char *path)
{
    char script[256];
    bool refused = false;
    for (int i = 0; path && i < MOST_SCRIPTS; i++) {
        Elf64_Ehdr e;
        int file = (int)mt_kernel_raw(SYS_openat, folder, (long)path,
                                      O_RDONLY | O_CLOEXEC, 0, 0, 0);
        bool own = file >= 0;
        if (file == -ENOENT && folder >= 0)
            file = folder; /* the path may be "" */
        path = NULL;
        if (file < 0)
            break;
        if (read_at(file, &e, sizeof e, 0) &&
            memcmp(e.e_ident, ELFMAG, SELFMAG) == 0)
            refused = is_refused(file, &e);
        else if (interpreter_of(script, file))
            path = script;
        if (own)
            mt_kernel_raw(SYS_close, file, 0, 0, 0, 0, 0);
    }
    return refused;
}
