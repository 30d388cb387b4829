/* SPDX-License-Identifier: BSD-2-Clause
 *
 * constants.c - prints constants.py: what gdb/ must know of C headers, out of
 * the headers themselves.  The build runs it.
 *
 * Every structure of reader.h that Python fills in is described by its fields.
 * A field that is missing here leaves a gap, and the build fails.
 */
#include "config.h"

#include "coreanalyze/reader.h"
#include "coreanalyze/source/source.h"
#include "coreanalyze/symbols/symbolize.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/user.h>

/* The name that ctypes has for the type of a scalar. */
#define CTYPE(x)                                                               \
    _Generic((x),                                                              \
        uint64_t: "c_uint64",                                                  \
        uint32_t: "c_uint32",                                                  \
        char: "c_char",                                                        \
        const char *: "c_char_p",                                              \
        const uint8_t *: "c_void_p",                                           \
        void *: "c_void_p",                                                    \
        const struct memtrace_reader_mapping *: "c_void_p",                    \
        const struct memtrace_reader_module *: "c_void_p",                     \
        const struct memtrace_reader_thread *: "c_void_p")

/* One field of the current structure. It must begin where the last one ended,
 * as its type aligns. */
static size_t field_end;

static void put_field(const char *name, const char *type, size_t items,
                      size_t offset, size_t bytes, size_t align)
{
    if ((field_end + align - 1) / align * align != offset) {
        fprintf(stderr, "constants: a field is missing before %s\n", name);
        exit(1);
    }
    field_end = offset + bytes;
    printf("        (\"%s\", \"%s\", %zu),\n", name, type, items);
}

static void end_structure(const char *name, size_t bytes)
{
    if (field_end != bytes) {
        fprintf(stderr, "constants: fields are missing at the end of %s\n",
                name);
        exit(1);
    }
    field_end = 0;
    printf("    )),\n");
}

#define MEMBER(type, field) (((struct type *)0)->field)
#define PUT(type, field, name, items)                                          \
    put_field(#field, name, items, offsetof(struct type, field),               \
              sizeof MEMBER(type, field),                                      \
              _Alignof(__typeof__(MEMBER(type, field))))
#define FIELD(type, field) PUT(type, field, CTYPE(MEMBER(type, field)), 0)
#define ARRAY(type, field)                                                     \
    PUT(type, field, CTYPE(MEMBER(type, field)[0]),                            \
        sizeof MEMBER(type, field) / sizeof MEMBER(type, field)[0])
/* A function that Python gives: its type is stated once more, and checked; in
 * constants.py the result comes first, then the parameters. */
#define FUNCTION(type, field, signature, ctypes)                               \
    do {                                                                       \
        _Static_assert(__builtin_types_compatible_p(                           \
                           __typeof__(MEMBER(type, field)), signature),        \
                       #field);                                                \
        PUT(type, field, ctypes, 0);                                           \
    } while (0)
#define BEGIN(type) printf("    (\"%s\", %zu, (\n", #type, sizeof(struct type))
#define END(type) end_structure(#type, sizeof(struct type))

static void put_tables(void)
{
    BEGIN(memtrace_reader_mapping);
    FIELD(memtrace_reader_mapping, start);
    FIELD(memtrace_reader_mapping, end);
    FIELD(memtrace_reader_mapping, file_offset);
    FIELD(memtrace_reader_mapping, flags);
    FIELD(memtrace_reader_mapping, reserved);
    FIELD(memtrace_reader_mapping, path);
    END(memtrace_reader_mapping);

    BEGIN(memtrace_reader_thread);
    FIELD(memtrace_reader_thread, tid);
    FIELD(memtrace_reader_thread, has_registers);
    ARRAY(memtrace_reader_thread, registers);
    FIELD(memtrace_reader_thread, name);
    END(memtrace_reader_thread);

    BEGIN(memtrace_reader_symbol);
    ARRAY(memtrace_reader_symbol, function);
    FIELD(memtrace_reader_symbol, offset);
    ARRAY(memtrace_reader_symbol, file);
    FIELD(memtrace_reader_symbol, line);
    FIELD(memtrace_reader_symbol, reserved);
    END(memtrace_reader_symbol);
}

static void put_target(void)
{
    BEGIN(memtrace_reader_target);
    FIELD(memtrace_reader_target, abi);
    FIELD(memtrace_reader_target, pid);
    FIELD(memtrace_reader_target, core);
    FIELD(memtrace_reader_target, local_process);
    FIELD(memtrace_reader_target, n_mappings);
    FIELD(memtrace_reader_target, n_modules);
    FIELD(memtrace_reader_target, n_threads);
    FIELD(memtrace_reader_target, mappings);
    FIELD(memtrace_reader_target, modules);
    FIELD(memtrace_reader_target, threads);
    FIELD(memtrace_reader_target, exe);
    FIELD(memtrace_reader_target, context);
    FUNCTION(memtrace_reader_target, read,
             size_t(*)(void *, uint64_t, void *, size_t),
             "c_size_t c_void_p c_uint64 c_void_p c_size_t");
    FUNCTION(memtrace_reader_target, write,
             int (*)(void *, uint64_t, const void *, size_t),
             "c_int c_void_p c_uint64 c_void_p c_size_t");
    FUNCTION(memtrace_reader_target, symbol,
             int (*)(void *, uint64_t, struct memtrace_reader_symbol *),
             "c_int c_void_p c_uint64 c_void_p");
    FUNCTION(memtrace_reader_target, progress,
             int (*)(void *, const char *, uint64_t, uint64_t),
             "c_int c_void_p c_char_p c_uint64 c_uint64");
    FIELD(memtrace_reader_target, root_symbol);
    FIELD(memtrace_reader_target, tables_incomplete);
    FIELD(memtrace_reader_target, reserved);
    END(memtrace_reader_target);
}

struct reg {
    const char *name;
    size_t offset;
};
#define REGISTER(name)                                                         \
    {                                                                          \
#name, offsetof(struct user_regs_struct, name)                         \
    }

/* GDB's names are the kernel's. */
static const struct reg registers[] = {
    REGISTER(r15), REGISTER(r14),     REGISTER(r13),     REGISTER(r12),
    REGISTER(rbp), REGISTER(rbx),     REGISTER(r11),     REGISTER(r10),
    REGISTER(r9),  REGISTER(r8),      REGISTER(rax),     REGISTER(rcx),
    REGISTER(rdx), REGISTER(rsi),     REGISTER(rdi),     REGISTER(orig_rax),
    REGISTER(rip), REGISTER(cs),      REGISTER(eflags),  REGISTER(rsp),
    REGISTER(ss),  REGISTER(fs_base), REGISTER(gs_base), REGISTER(ds),
    REGISTER(es),  REGISTER(fs),      REGISTER(gs),
};
#define N_REGISTERS (sizeof registers / sizeof registers[0])

_Static_assert(N_REGISTERS == MT_N_REGISTERS &&
                   sizeof(struct user_regs_struct) == MT_N_REGISTERS * 8,
               "every register, once");

static void put_registers(void)
{
    printf("REGISTERS = (\n");
    for (size_t i = 0; i < N_REGISTERS; i++) {
        if (registers[i].offset != i * 8) {
            fprintf(stderr, "constants: %s is out of order\n",
                    registers[i].name);
            exit(1);
        }
        printf("    \"%s\",\n", registers[i].name);
    }
    printf(")\n");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: constants LIBDIR LIBDIR-FROM-GDBDIR\n");
        return 1;
    }
    printf(
        "# SPDX-License-Identifier: BSD-2-Clause\n"
        "\"\"\"What C headers say; written by the build "
        "(gdb/constants.c).\"\"\"\n\n"
        "VERSION = \"%s\"\n"
        "ABI = %d\n\n"
        "# Where the library is; all but the first seen from the folder that\n"
        "# this package is in.\n"
        "LIBRARY = \"libmemtrace-read.so.0\"\n"
        "USUAL_DEBUG_DIR = r\"" MT_USUAL_DEBUG_DIR "\"\n"
        "LIBDIR = r\"%s\"\n"
        "INSTALLED_AT = r\"%s\"\n"
        "BUILT_AT = \"../coreanalyze/.libs\"\n\n"
        "MAP_READ = %u\nMAP_WRITE = %u\nMAP_EXEC = %u\nMAP_PRIVATE = %u\n\n",
        PACKAGE_VERSION, MEMTRACE_READER_ABI, argv[1], argv[2], MT_MAP_READ,
        MT_MAP_WRITE, MT_MAP_EXEC, MT_MAP_PRIVATE);
    printf(
        "# (structure, bytes, ((field, type, items of an array or 0), ...))\n"
        "STRUCTURES = (\n");
    put_tables();
    put_target();
    printf(")\n\n# Registers in the order of struct user_regs_struct.\n");
    put_registers();
    return fflush(stdout) == 0 ? 0 : 1;
}
