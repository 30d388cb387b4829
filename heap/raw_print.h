/* SPDX-License-Identifier: BSD-2-Clause
 *
 * raw_print.h - text without stdio or malloc.  AS-safe.
 */
#ifndef MT_RAW_PRINT_H
#define MT_RAW_PRINT_H

#include <stddef.h>
#include <stdint.h>

/* Collects text in `text`; what does not fit is dropped, but counted. With
 * `fd` set (fd > 0), a full buffer is written there and reused. */
struct mt_print {
    char *text;
    size_t size;   /* bytes of `text` */
    size_t length; /* bytes printed so far; may exceed size when fd is 0 */
    int fd;
};

void mt_print(struct mt_print *, const char *);
void mt_print_bytes(struct mt_print *, const char *, size_t);
void mt_print_u64(struct mt_print *, uint64_t);
void mt_print_hex(struct mt_print *, uint64_t); /* 0x... */
/* Right-aligned in `width` columns. */
void mt_print_u64_right(struct mt_print *, uint64_t, unsigned width);
/* Writes a size like "118.53M": two decimals, K, M, G, T of 1024. */
void mt_print_size(struct mt_print *, uint64_t bytes);
/* The descriptor that reports go to: 2, or -1 (nowhere) if 2 is the program's
 * data. mt_print_start() notes what 2 is when the process starts. */
int mt_report_fd(void);
void mt_print_start(void);
/* Writes out what is collected (fd > 0). */
void mt_print_flush(struct mt_print *);

/* What the keys of a file's pattern stand for: %p the process, %n its name, %t
 * the time in seconds since 1970.  A key without a value stays as it is. */
struct mt_pattern_values {
    uint64_t pid, seconds; /* seconds 0: none */
    const char *name;      /* or NULL */
    size_t name_bytes;
};
void mt_print_pattern(struct mt_print *, const char *pattern,
                      const struct mt_pattern_values *);
/* Reports "memtrace: <before><name><what>: error <number> (...)" in a line;
 * number 0: none. */
void mt_report_file(const char *before, const char *name, const char *what,
                    int number);

#endif
