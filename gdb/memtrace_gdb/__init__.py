# SPDX-License-Identifier: BSD-2-Clause
"""The `memtrace` commands of GDB, over libmemtrace-read.

    commands    the commands and their help          (imports gdb)
    functions   the convenience functions            (imports gdb)
    expressions addresses as expressions             (imports gdb)
    rows        rows of show, and values of blocks   (imports gdb)
    readers     a reader per inferior, and caches    (imports gdb)
    inferior    what GDB knows of an inferior        (imports gdb)
    symbols     GDB's names for addresses            (imports gdb)
    completion  completion of a command line
    tables      mappings out of what GDB prints
    library     libmemtrace-read by ctypes
    verbs       the verbs and their help; written by the build
    constants   what C headers say; written by the build

The reader does the work.  It reads memory through functions of the inferior,
so that a live process, one on a gdbserver and a core are the same to it.
"""
