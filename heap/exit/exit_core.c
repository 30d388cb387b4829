/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_core.c - the file: headers, contents with holes for zeros, notes.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/exit/at_exit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE 4096u

static bool is_zero(const char *data, size_t bytes)
{
    return bytes == 0 ||
           (data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0);
}

/* A process that gave up privileges may not open its own memory; it may read
 * it by this call, as it may read any thread of its own. */
static ssize_t read_memory(struct mt_exit *a, void *to, uint64_t address,
                           size_t bytes)
{
    if (a->memory >= 0)
        return mt_kernel(SYS_pread64, a->memory, to, bytes, address);
    struct iovec local = {to, bytes}, remote = {(void *)address, bytes};
    return mt_kernel(SYS_process_vm_readv, mt_os_pid(), &local, 1, &remote, 1);
}

/* A guard page of a thread's stack (MADV_GUARD_INSTALL) is in a mapping that
 * can be read, and has no contents. */
static bool is_guard(uint64_t address)
{
    const uint64_t guard = UINT64_C(1) << 58; /* Linux 6.15 */
    uint64_t entry = 0;
    int file = mt_exit_open(MT_EXIT_SELF "pagemap", O_RDONLY);

    if (file < 0)
        return false;
    ssize_t n = mt_kernel(SYS_pread64, file, &entry, sizeof entry,
                          address / PAGE * sizeof entry);
    mt_kernel(SYS_close, file);
    return n == (ssize_t)sizeof entry && (entry & guard);
}

/* Reads into the chunk; pages that cannot be read are zeros. */
static void read_chunk(struct mt_exit *a, uint64_t address, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t n = read_memory(a, a->chunk + at, address + at, bytes - at);
        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        size_t page = PAGE - ((address + at) & (PAGE - 1));
        if (page > bytes - at)
            page = bytes - at;
        memset(a->chunk + at, 0, page);
        if (!is_guard(address + at))
            a->missing_bytes += page;
        at += page;
    }
}

static void exit_core_write_contents(struct mt_exit *a)
{
    for (size_t i = 1; i < a->n_programs && a->problem == 0; i++) {
        Elf64_Phdr *p = &a->programs[i];
        /* The offset is as aligned as the address: a reader takes words in
         * place. */
        a->offset += (p->p_vaddr - a->offset) & 7;
        p->p_offset = a->offset;
        for (uint64_t at = 0; at < p->p_filesz; at += MT_EXIT_CHUNK) {
            uint64_t left = p->p_filesz - at;
            size_t n = left < MT_EXIT_CHUNK ? (size_t)left : MT_EXIT_CHUNK;
            read_chunk(a, p->p_vaddr + at, n);
            if (!is_zero(a->chunk, n) &&
                !mt_exit_write_at(a, a->chunk, n, a->offset + at))
                return;
        }
        a->offset += p->p_filesz;
    }
}

/* A limit on the size of files is an error, no signal. */
static bool exit_core_write_all(struct mt_exit *a)
{
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                    EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof header,
        .e_ehsize = sizeof header,
        .e_phentsize = sizeof(Elf64_Phdr),
    };
    mt_exit_find(a);
    header.e_phnum = (Elf64_Half)a->n_programs;
    a->offset = sizeof header + a->n_programs * sizeof(Elf64_Phdr);
    exit_core_write_contents(a);
    a->offset = (a->offset + 7) & ~UINT64_C(7);
    uint64_t notes = a->offset;
    mt_exit_notes(a);
    a->programs[0] = (Elf64_Phdr){.p_type = PT_NOTE,
                                  .p_offset = notes,
                                  .p_filesz = a->offset - notes,
                                  .p_align = 4};
    return mt_exit_write_at(a, a->programs, a->n_programs * sizeof(Elf64_Phdr),
                            sizeof header) &&
           mt_exit_write_at(a, &header, sizeof header, 0);
}

bool mt_exit_core(struct mt_exit *a)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGXFSZ, &ignore, &before);
    bool ok = exit_core_write_all(a);
    sigaction(SIGXFSZ, &before, NULL);
    return ok;
}
