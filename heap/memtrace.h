/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MEMTRACE_H
#define MEMTRACE_H
#endif
