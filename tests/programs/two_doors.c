/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks that go through two doors: of this heap and of the C library's own
 * allocator.  Compiled with PLUGIN, the module that is loaded; with WRAPPER, a
 * program that has a malloc of its own on glibc's __libc_malloc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PLUGIN

char *plugin_make(const char *text);
void plugin_take(char *p);
char *plugin_grow(char *p, size_t size);
size_t plugin_measure(char *p);

char *plugin_make(const char *text)
{
    char *p = malloc(strlen(text) + 1);
    return p ? strcpy(p, text) : NULL;
}

void plugin_take(char *p)
{
    free(p);
}

char *plugin_grow(char *p, size_t size)
{
    return realloc(p, size);
}

size_t plugin_measure(char *p)
{
    return malloc_usable_size(p);
}

#else

#ifdef WRAPPER
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);
static long live;

void *malloc(size_t size)
{
    live++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    live++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return __libc_realloc(p, size);
}

void free(void *p)
{
    live -= p != NULL;
    __libc_free(p);
}
#endif

static void fill(char *p, size_t bytes)
{
    memset(p, 0x5a, bytes);
}

static int other_functions(void)
{
    void *p = NULL;
    free(aligned_alloc(64, 128));
    free(memalign(4096, 100));
    if (posix_memalign(&p, 64, 1000))
        return 1;
    free(p);
    p = reallocarray(malloc(3), 1000, 10);
    printf("usable: %d\n", malloc_usable_size(p) >= 10000);
    free(p);
    free(strdup("text"));
    FILE *file = fopen("/dev/null", "w");
    return file ? fclose(file) : 1;
}

static void *in_thread(void *take)
{
    void *(*make)(size_t) = (void *(*)(size_t))take;
    return make(300);
}

/* Finds a library's function by its name, as a foreign-function interface
 * does. */
static int by_name(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    void *(*make)(size_t) = dlsym(libc, "malloc");
    void *(*grow)(void *, size_t) = dlsym(libc, "realloc");
    void (*take)(void *) = dlsym(libc, "free");
    take(strdup("text"));
    free(make(10));
    take(grow(malloc(10), 100000));
    take(realloc(make(10), 1000000));
    take(dlsym(libc, "free") == (void *)free ? make(1) : malloc(1));
    free(make(40 << 20)); /* in a mapping of its own */
    pthread_t thread;
    void *from_thread;
    if (pthread_create(&thread, NULL, in_thread, (void *)make) ||
        pthread_join(thread, &from_thread))
        return 1;
    free(from_thread);
    return 0;
}

static int by_plugin(const char *path, int flags)
{
    void *module = dlopen(path, RTLD_NOW | flags);
    if (!module)
        return puts(dlerror());
    char *(*make)(const char *) = dlsym(module, "plugin_make");
    void (*take)(char *) = dlsym(module, "plugin_take");
    char *(*grow)(char *, size_t) = dlsym(module, "plugin_grow");
    size_t (*measure)(char *) = dlsym(module, "plugin_measure");
    free(make("text"));
    take(malloc(10));
    take(strdup("text"));
    char *p = realloc(make("kept"), 100000);
    printf("%s, usable %d\n", p, measure(p) >= 100000);
    fill(p, 100000);
    take(grow(p, 10));
    p = make("measured");
    printf("usable %d\n", malloc_usable_size(p) >= 9);
    take(p);
    return 0;
}

int main(int argc, char **argv)
{
    int bad = other_functions();
    if (argc > 1)
        bad |= by_plugin(argv[1], RTLD_DEEPBIND) || by_name();
    puts(bad ? "bad" : "done");
#ifdef WRAPPER
    printf("counted: %d\n", live != 0);
#endif
    return bad;
}

#endif
