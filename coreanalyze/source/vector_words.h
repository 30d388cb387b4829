/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vector_words.h - words of a thread's vector registers.
 *
 * Code that moves memory has pointers there and nowhere else for some
 * instructions.  A system call keeps the registers, but what they hold then is
 * of no use to the caller, by the ABI.
 */
#ifndef MT_VECTOR_WORDS_H
#define MT_VECTOR_WORDS_H

#include "coreanalyze/source/source.h"

/* Parts of an XSAVE area, as PTRACE_GETREGSET and cores have it. */
#define MT_XSAVE_XMM 160u
#define MT_XSAVE_XMM_END 416u
#define MT_XSAVE_REST 576u /* upper halves and more registers */
#define MT_XSAVE_MOST 16384u

/* Has it been stopped between two instructions of its own? */
bool mt_thread_in_user_code(const uint64_t registers[MT_N_REGISTERS]);

/* Do instructions store a vector register (-1: any of them) to memory, or move
 * it to another kind of register? */
bool mt_code_stores(const uint8_t *code, size_t bytes, int number);
/* Sets `stored` of the words of vector registers, where the code that comes
 * next can be read.  Registers keep words for long; those that are about to be
 * stored are of use.  False when out of memory. */
bool mt_vectors_find_stored(struct mt_source *);

/* Takes the words of area[from, to) that may be addresses, `most` at most;
 * returns how many.  Takes no lock and no memory. */
size_t mt_vector_words(const uint8_t *area, size_t from, size_t to,
                       uint32_t tid, struct mt_kernel_word *words, size_t most);

#endif
