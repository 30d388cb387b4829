/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unloaded LIBRARY: opens the heap's library, allocates from it in a thread, and
 * closes it while the thread runs; then the thread ends, a child is made, and
 * the library is opened again. Prints "done".
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void *alloc_function(void *heap, size_t);

static void *library;
static alloc_function *heap_alloc;
static pthread_barrier_t allocated, closed;

static alloc_function *opened(const char *path)
{
    alloc_function *function = NULL;
    library = dlopen(path, RTLD_NOW);
    void *symbol = library ? dlsym(library, "memtrace_alloc") : NULL;
    memcpy(&function, &symbol, sizeof function);
    if (!function) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return function;
}

static void *user(void *arg)
{
    char *block = heap_alloc(NULL, 100);
    memset(block, 7, 100);
    pthread_barrier_wait(&allocated);
    pthread_barrier_wait(&closed);
    if (block[99] != 7)
        abort();
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc < 2)
        return 2;
    pthread_barrier_init(&allocated, NULL, 2);
    pthread_barrier_init(&closed, NULL, 2);
    heap_alloc = opened(argv[1]);
    pthread_create(&thread, NULL, user, NULL);
    pthread_barrier_wait(&allocated);
    dlclose(library);
    pthread_barrier_wait(&closed);
    pthread_join(thread, NULL);
    pid_t child = fork();
    int status = 0;
    if (child == 0)
        _exit(0);
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    if (!opened(argv[1])(NULL, 10))
        return 1;
    puts("done");
    return 0;
}
