/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs.c - prints verbs.py: the verbs of the reader and their help, so that
 * GDB can define the commands without loading the library. The build runs it.
 */
#include "coreanalyze/reader.h"

#include <stdio.h>

/* A text as a Python string. */
static void put_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c == '\n')
            fputs("\\n\"\n        \"", stdout);
        else if (c < 0x20 || c > 0x7e)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('"');
}

int main(void)
{
    const char *const *verbs = memtrace_reader_verbs();

    printf("# SPDX-License-Identifier: BSD-2-Clause\n"
           "\"\"\"The verbs of the reader and their help; written by the build."
           "\"\"\"\n\nVERBS = {\n");
    for (size_t i = 0; verbs[i]; i++) {
        fputs("    ", stdout);
        put_text(verbs[i]);
        fputs(":\n        ", stdout);
        put_text(memtrace_reader_help(verbs[i]));
        fputs(",\n", stdout);
    }
    printf("}\n");
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
