/* SPDX-License-Identifier: BSD-2-Clause
 *
 * read_log.h - words of a stack, and the log of those that were read.
 */
#ifndef MT_READ_LOG_H
#define MT_READ_LOG_H
#include <stdbool.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MT_ASAN 1
#endif
/* The stack is read past the bounds of any variable. */
#ifdef MT_ASAN
#define MT_READS_STACK __attribute__((no_sanitize("address")))
#else
#define MT_READS_STACK
#endif

/* A word of a stack, whatever is in it. */
typedef uint64_t __attribute__((may_alias)) mt_any_word;

/* All that an unwinding depended on: the words it read, in order, and the start
 * registers other than rip and rsp whose values it used. */
struct mt_read_log {
    uint64_t *addresses, *values;
    uint32_t n_words, max_words;
    uint32_t registers; /* bit r: DWARF register r at the start */
    bool overflow;      /* there were more words, or a range was left */
};

#endif
