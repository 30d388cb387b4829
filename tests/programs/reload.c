/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reload.c - stacks that need care to be read.
 *
 *     reload LIBRARY...   each in turn is loaded, allocates 1000 bytes in its
 *                         function (the name of its file), and is unloaded,
 *                         but for the last; prints the function's address.
 *     reload fault        allocates 2000 bytes in a handler of SIGSEGV, raised
 *                         by the first instruction of the function `faults`.
 *
 * With -DNAME=name it is such a library.  Prints "ready" last, and waits.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef NAME
void *NAME(void);
void *NAME(void)
{
    void *p = malloc(1000);

    __asm__ volatile("" : "+r"(p)); /* no tail call */
    return p;
}
#else

static void *volatile kept[16];

void before_faults(void), faults(void);
__asm__(".text\n.globl before_faults\n.type before_faults, @function\n"
        "before_faults: .cfi_startproc\nxorl %eax, %eax\nret\n"
        ".cfi_endproc\n.size before_faults, .-before_faults\n"
        ".globl faults\n.type faults, @function\n"
        "faults: .cfi_startproc\nmovl %eax, 0\nret\n"
        ".cfi_endproc\n.size faults, .-faults\n");

static sigjmp_buf out;

static void on_fault(int number)
{
    (void)number;
    kept[0] = malloc(2000);
    siglongjmp(out, 1);
}

static void fault(void)
{
    struct sigaction action = {.sa_handler = on_fault};

    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(out, 1) == 0)
        faults();
}

static int reload(const char *path, int last)
{
    const char *slash = strrchr(path, '/');
    char name[64];
    void *library = dlopen(path, RTLD_NOW);
    void *(*function)(void);

    if (library == NULL)
        return fprintf(stderr, "%s\n", dlerror()), 0;
    snprintf(name, sizeof name, "%.*s",
             (int)strcspn(slash ? slash + 1 : path, "."),
             slash ? slash + 1 : path);
    *(void **)&function = dlsym(library, name);
    if (function == NULL)
        return fprintf(stderr, "%s\n", dlerror()), 0;
    kept[last + 1] = function();
    printf("%p\n", *(void **)&function);
    return last || dlclose(library) == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "fault") == 0)
        fault();
    else
        for (int i = 1; i < argc; i++)
            if (!reload(argv[i], i == argc - 1))
                return 1;
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
#endif
