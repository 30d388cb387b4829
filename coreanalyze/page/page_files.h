/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_files.h - the files beside this one, as bytes of the program.
 */
#ifndef MT_PAGE_FILES_H
#define MT_PAGE_FILES_H

extern const char mt_page_style[], mt_page_style_end[];
extern const char mt_page_body[], mt_page_body_end[];
extern const char mt_page_script[], mt_page_script_end[];

#endif
