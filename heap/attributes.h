/* SPDX-License-Identifier: BSD-2-Clause
 *
 * attributes.h - names for the compiler's attributes, and loads and stores
 * that other threads never see by half.
 *
 * Nothing in heap/ calls malloc or stdio.  "AS-safe" in its headers means
 * async-signal-safe.
 */
#ifndef MT_ATTRIBUTES_H
#define MT_ATTRIBUTES_H

#define MT_LIKELY(x) __builtin_expect(!!(x), 1)
#define MT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MT_COLD __attribute__((cold, noinline))
#define MT_NOINLINE __attribute__((noinline))
/* For functions that the entry points call: a program may call entry points
 * with a stack that is not aligned, so these must accept that. */
#define MT_REALIGN __attribute__((force_align_arg_pointer))
/* For large variables, which the preload library is linked to have after all
 * others, so that these share few pages: first arrays that are filled from the
 * front, then what few programs use. */
#define MT_FILLED_BSS __attribute__((section(".bss.filled")))
#define MT_SELDOM_BSS __attribute__((section(".bss.seldom")))
/* For declarations of variables of hot paths: within this library, and so
 * without a look at the table of addresses. */
#define MT_HIDDEN __attribute__((visibility("hidden")))
#define MT_EXPORT __attribute__((visibility("default")))
/* Initial-exec: the access is one instruction and can never allocate. */
#define MT_TLS __thread __attribute__((tls_model("initial-exec")))

#define mt_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
/* Like mt_load_relaxed, for an aligned word.  The compiler may make it an
 * operand of the instruction that uses it, which it does not with atomic
 * loads. */
#ifdef __SANITIZE_THREAD__
#define mt_load_folded(p) mt_load_relaxed(p)
#define mt_store_indexed(words, i, v) mt_store_relaxed(&(words)[i], (v))
#else
#define mt_load_folded(p) (*(p))
/* words[i] = v, a relaxed store, without an instruction for the address. */
#define mt_store_indexed(words, i, v)                                          \
    __asm__ volatile("movq %0, (%1, %2, 8)"                                    \
                     :                                                         \
                     : "r"(v), "r"(words), "r"(i)                              \
                     : "memory")
#endif
#define mt_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define mt_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define mt_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#endif
