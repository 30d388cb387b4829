/* SPDX-License-Identifier: BSD-2-Clause
 *
 * seldom.h - the first include of a file that few programs run: its code is
 * built to be small, as the kernel maps most of the library into each process.
 * (The flags of the build come last on the command line, so a flag of the file
 * would not count.)
 */
#ifndef MT_SELDOM_H
#define MT_SELDOM_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("Os", "no-strict-aliasing")
#endif

#endif
