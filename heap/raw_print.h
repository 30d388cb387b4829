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

#endif
