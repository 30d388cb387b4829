/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leakmodule.c - a module with a variable, for leakcases.c.
 */
extern void *module_hold;
void *module_hold;
