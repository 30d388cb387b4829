/* SPDX-License-Identifier: BSD-2-Clause
 *
 * untraced.c - programs that a preload library cannot trace: of 32 bits or
 * another machine, static, of another libc, or with a sanitizer's allocator.
 */
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/base/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static const struct {
    const char *library, *symbol, *name;
} sanitizers[] = {
    {"libasan.so", "__asan_init", "AddressSanitizer"},
    {"libhwasan.so", "__hwasan_init", "HWAddressSanitizer"},
    {"libtsan.so", "__tsan_init", "ThreadSanitizer"},
    {"libmsan.so", "__msan_init", "MemorySanitizer"},
    {"liblsan.so", "__lsan_init", "LeakSanitizer"},
};

/* The interpreter that the program names; "" if none. */
static void program_interpreter(const struct mt_elf *elf, char *text,
                                size_t bytes)
{
    Elf64_Ehdr header;

    text[0] = '\0';
    memcpy(&header, elf->data, sizeof header);
    for (size_t i = 0; i < header.e_phnum; i++) {
        uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment;
        if (header.e_phoff > elf->bytes || at + sizeof segment > elf->bytes)
            return;
        memcpy(&segment, elf->data + at, sizeof segment);
        if (segment.p_type != PT_INTERP || segment.p_offset > elf->bytes ||
            segment.p_filesz > elf->bytes - segment.p_offset)
            continue;
        snprintf(text, bytes, "%.*s", (int)(segment.p_filesz & 0xfff),
                 (const char *)elf->data + segment.p_offset);
        return;
    }
}

static bool has_name(const uint8_t *names, size_t bytes, const char *name)
{
    return memmem(names, bytes, name, strlen(name)) != NULL;
}

/* A sanitizer's runtime that is linked into the program, or that it needs as a
 * library.  Some export nothing of their own name; that of
 * UndefinedBehaviorSanitizer alone has no allocator. */
static const char *sanitizer_in_file(struct mt_elf *elf)
{
    const struct mt_elf_section *section = mt_elf_find(elf, ".dynstr");
    const uint8_t *names = NULL;
    size_t n_names = 0;

    if (section == NULL || !mt_elf_section_data(elf, section, &names, &n_names))
        return NULL;
    for (size_t i = 0; i < sizeof sanitizers / sizeof *sanitizers; i++)
        if (memmem(names, n_names, sanitizers[i].symbol,
                   strlen(sanitizers[i].symbol) + 1) ||
            has_name(names, n_names, sanitizers[i].library))
            return sanitizers[i].name;
    if ((has_name(names, n_names, "__sanitizer_symbolize_") ||
         has_name(names, n_names, "N11__sanitizer")) &&
        has_name(names, n_names, "pvalloc"))
        return "a sanitizer";
    return NULL;
}

static const char *sanitizer_of(pid_t pid, struct mt_elf *elf)
{
    const char *found = sanitizer_in_file(elf);
    char path[64], line[512];
    FILE *maps;

    if (found)
        return found;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        for (size_t i = 0; i < sizeof sanitizers / sizeof *sanitizers; i++)
            if (strstr(line, sanitizers[i].library))
                found = sanitizers[i].name;
    if (maps)
        fclose(maps);
    return found;
}

/* The reason for a file that is not ELF for x86-64. */
static bool other_machine(const char *path, char *text, size_t bytes)
{
    unsigned char ident[EI_NIDENT] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool known = file >= 0 &&
                 read(file, ident, sizeof ident) == (ssize_t)sizeof ident &&
                 memcmp(ident, ELFMAG, SELFMAG) == 0;

    if (file >= 0)
        close(file);
    if (known)
        snprintf(text, bytes, "%s",
                 ident[EI_CLASS] == ELFCLASS32
                     ? "it is a 32-bit program, and the preload library is "
                       "for x86-64"
                     : "it is a program of another machine");
    return known;
}

/* Set-user-ID programs and the like ignore LD_PRELOAD. */
static bool is_secure(pid_t pid)
{
    unsigned long pair[2] = {1, 0};
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
    file = fopen(path, "re");
    while (file && pair[0] != AT_NULL && pair[0] != AT_SECURE &&
           fread(pair, sizeof pair, 1, file) == 1)
        ;
    if (file)
        fclose(file);
    return pair[0] == AT_SECURE && pair[1] != 0;
}

const char *mt_untraced_sanitizer(pid_t pid)
{
    struct mt_error error = {0};
    const char *found;
    struct mt_elf *elf;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    elf = mt_elf_open(path, &error);
    found = elf ? sanitizer_of(pid, elf) : NULL;
    mt_elf_close(elf);
    return found;
}

bool mt_untraced_at_start(struct mt_untraced_plain *plain, pid_t pid)
{
    struct mt_error error = {0};
    struct mt_elf_version version;
    struct mt_elf *elf;
    char path[64];
    bool found;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    if (mt_elf_version_at(path, &version) && version.inode)
        for (unsigned i = 0; i < MT_UNTRACED_PLAIN; i++)
            if (mt_elf_same_version(&plain->files[i], &version))
                return false;
    elf = mt_elf_open(path, &error);
    found = elf && sanitizer_in_file(elf);
    if (elf && !found)
        plain->files[plain->next++ % MT_UNTRACED_PLAIN] = elf->version;
    mt_elf_close(elf);
    return found;
}

static bool is_other_libc(const char *interpreter)
{
    return interpreter[0] != '\0' &&
           strncmp(mt_base_name(interpreter), "ld-linux", 8) != 0;
}

/* The reason that the file gives. */
static bool untraced_by_file(const struct mt_elf *elf, const char *sanitizer,
                             char *text, size_t bytes)
{
    char interpreter[256];

    program_interpreter(elf, interpreter, sizeof interpreter);
    if (sanitizer)
        snprintf(text, bytes, "it is built with %s, whose allocator serves it",
                 sanitizer);
    else if (interpreter[0] == '\0')
        snprintf(text, bytes,
                 "it is a static program, into which no library can be "
                 "preloaded; link it dynamically");
    else if (is_other_libc(interpreter))
        snprintf(text, bytes,
                 "it is a program of another libc (%s); build it with glibc",
                 mt_base_name(interpreter));
    else
        return false;
    return true;
}

bool mt_untraced_why(pid_t pid, char *text, size_t bytes)
{
    struct mt_error error = {0};
    struct mt_elf *elf;
    char path[64];
    bool found;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    elf = mt_elf_open(path, &error);
    if (elf == NULL)
        return other_machine(path, text, bytes);
    found = untraced_by_file(elf, sanitizer_of(pid, elf), text, bytes);
    mt_elf_close(elf);
    if (found || !is_secure(pid))
        return found;
    snprintf(text, bytes,
             "it runs with more rights than its caller (set-user-ID, file "
             "capabilities), which excludes LD_PRELOAD; run a copy without "
             "them");
    return true;
}

static const char without_library[] =
    "it was started without libmemtrace-preload.so in LD_PRELOAD; its parent "
    "must keep that variable";

static FILE *process_file(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* A process without memory has no environment either. */
static bool has_memory(pid_t pid)
{
    FILE *file = process_file(pid, "auxv");
    bool any = file && getc(file) != EOF;

    if (file)
        fclose(file);
    return any;
}

static const char not_loaded[] =
    "it did not load libmemtrace-preload.so, although LD_PRELOAD names it; the "
    "file must be readable there (chroot, container)";

/* Has the process mapped the library?  True if that is not known. */
static bool has_library(pid_t pid)
{
    FILE *file = process_file(pid, "maps");
    char *line = NULL;
    size_t bytes = 0;
    bool any = false, found = false;

    if (file == NULL)
        return true;
    while (!found && getline(&line, &bytes, file) >= 0) {
        any = true;
        found = strstr(line, "libmemtrace-preload") != NULL;
    }
    fclose(file);
    free(line);
    return found || !any;
}

/* Why the library is not in a process that could load it; NULL if it is, or if
 * that is not known. */
static const char *library_missing(pid_t pid)
{
    FILE *file = process_file(pid, "environ");
    char *variable = NULL;
    size_t bytes = 0;
    bool found = false, known;

    if (file == NULL)
        return NULL;
    while (!found && getdelim(&variable, &bytes, '\0', file) >= 0)
        found = strncmp(variable, "LD_PRELOAD=", 11) == 0 &&
                strstr(variable, "libmemtrace-preload");
    known = !ferror(file) && has_memory(pid);
    fclose(file);
    free(variable);
    if (!known)
        return NULL;
    if (!found)
        return without_library;
    return has_library(pid) ? NULL : not_loaded;
}

bool mt_untraced_child_why(pid_t pid, char *text, size_t bytes)
{
    const char *why;

    if (mt_untraced_why(pid, text, bytes))
        return true;
    why = library_missing(pid);
    if (why)
        snprintf(text, bytes, "no trace found: %s", why);
    return why != NULL;
}

void mt_untraced_explain(pid_t pid, struct mt_error *error)
{
    char why[200];

    if (error->untraced && mt_untraced_why(pid, why, sizeof why))
        mt_fail(error, "no trace found: %s", why);
}

void mt_untraced_explain_child(pid_t pid, struct mt_error *error)
{
    const char *why;

    mt_untraced_explain(pid, error);
    why = error->untraced ? library_missing(pid) : NULL;
    if (why)
        mt_fail(error, "no trace found: %s", why);
}

/* --- before the start --- */

/* The program's file, as execvp(3) finds it; "" if there is none. */
static void program_path(const char *name, char *path, size_t bytes)
{
    const char *folders = getenv("PATH");

    if (strchr(name, '/')) {
        snprintf(path, bytes, "%s", name);
        return;
    }
    if (folders == NULL)
        folders = "/bin:/usr/bin";
    for (;;) {
        int n = (int)strcspn(folders, ":");
        if (snprintf(path, bytes, "%.*s%s%s", n, folders, n ? "/" : "", name) <
                (int)bytes &&
            access(path, X_OK) == 0)
            return;
        path[0] = '\0';
        if (folders[n] == '\0')
            return;
        folders += n + 1;
    }
}

const char *mt_untraced_program(const char *name)
{
    struct mt_error error = {0};
    char path[4096];
    struct mt_elf *elf;
    const char *found;

    program_path(name, path, sizeof path);
    elf = mt_elf_open(path, &error);
    found = elf ? sanitizer_in_file(elf) : NULL;
    mt_elf_close(elf);
    return found;
}

bool mt_untraced_refuses(const char *name)
{
    struct mt_error error = {0};
    char path[4096], interpreter[256];
    struct mt_elf *elf;
    bool refused;

    program_path(name, path, sizeof path);
    elf = mt_elf_open(path, &error);
    if (elf == NULL)
        return other_machine(path, interpreter, sizeof interpreter);
    program_interpreter(elf, interpreter, sizeof interpreter);
    refused = sanitizer_in_file(elf) || is_other_libc(interpreter);
    mt_elf_close(elf);
    return refused;
}

bool mt_untraced_file_why(const char *name, char *text, size_t bytes)
{
    struct mt_error error = {0};
    char path[4096];
    struct mt_elf *elf;
    bool found;

    program_path(name, path, sizeof path);
    /* The dynamic linker has no interpreter, and obeys LD_PRELOAD. */
    if (strncmp(mt_base_name(path), "ld", 2) == 0)
        return false;
    elf = mt_elf_open(path, &error);
    if (elf == NULL)
        return other_machine(path, text, bytes);
    found = untraced_by_file(elf, sanitizer_in_file(elf), text, bytes);
    mt_elf_close(elf);
    return found;
}
