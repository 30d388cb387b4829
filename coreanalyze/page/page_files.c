/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_files.c - puts the page's style, body and scripts into the program: the
 * assembler finds them as the compiler finds headers.
 */
#include "coreanalyze/page/page_files.h"

#define PAGE_FILE(path) ".incbin \"coreanalyze/page/" path "\"\n"
#define PAGE_BYTES(name, files)                                                \
    __asm__(".pushsection .rodata\n"                                           \
            ".hidden " name "\n.hidden " name "_end\n"                         \
            ".global " name "\n.global " name "_end\n" name ":\n" files name   \
            "_end:\n.byte 0\n.popsection\n")

PAGE_BYTES("mt_page_style", PAGE_FILE("page.css"));
PAGE_BYTES("mt_page_body", PAGE_FILE("page.html"));
PAGE_BYTES("mt_page_script",
           PAGE_FILE("data.js") PAGE_FILE("elements.js") PAGE_FILE("flame.js")
               PAGE_FILE("tables.js") PAGE_FILE("timeline.js")
                   PAGE_FILE("summary.js") PAGE_FILE("holders.js")
                       PAGE_FILE("views.js") PAGE_FILE("main.js"));
