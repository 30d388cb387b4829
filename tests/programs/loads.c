/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program in C that loads a module in C++, for itself alone.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *module = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*call)(void) = module ? dlsym(module, "catch_bad_alloc") : NULL;
    printf("caught %d\n", call ? call() : -1);
    return 0;
}
