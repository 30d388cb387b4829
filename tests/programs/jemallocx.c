/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The non-standard interface of jemalloc, for tests/e2e/allocators: what its
 * manual promises, mixed with malloc and free. It is looked up, so that it is
 * the preloaded library's or jemalloc's own. Prints a line for what is wrong.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LG_ALIGN(n) (n)
#define ZERO 0x40
#define TCACHE_NONE (1 << 8)
#define ARENA(n) (((n) + 1) << 20)

static void *(*mallocx)(size_t, int), *(*rallocx)(void *, size_t, int);
static size_t (*xallocx)(void *, size_t, size_t, int);
static size_t (*sallocx)(const void *, int), (*nallocx)(size_t, int);
static void (*dallocx)(void *, int), (*sdallocx)(void *, size_t, int);
static int wrong;

static void want(int ok, const char *what, size_t size)
{
    if (!ok) {
        wrong = 1;
        printf("wrong: %s, size %zu\n", what, size);
    }
}

static int is_zero(const char *p, size_t from, size_t to)
{
    while (from < to && p[from] == 0)
        from++;
    return from >= to;
}

static int is_aligned(const void *p, unsigned lg)
{
    return ((uintptr_t)p & (((uintptr_t)1 << lg) - 1)) == 0;
}

/* Leaves free blocks that hold something. */
static void soil(size_t size)
{
    void *soiled[4];
    for (int i = 0; i < 4; i++) {
        soiled[i] = malloc(size);
        memset(soiled[i], 0xa5, malloc_usable_size(soiled[i]));
    }
    for (int i = 0; i < 4; i++)
        free(soiled[i]);
}

static void zeroes(size_t n)
{
    soil(n);
    char *p = mallocx(n, ZERO | TCACHE_NONE | ARENA(3));
    want(sallocx(p, 0) >= n && malloc_usable_size(p) >= n, "usable", n);
    want(is_zero(p, 0, sallocx(p, 0)), "mallocx with zero", n);
    size_t old = sallocx(p, 0);
    memset(p, 7, old);
    soil(n + 5000);
    p = rallocx(p, n + 5000, ZERO);
    want(p[0] == 7 && p[old - 1] == 7, "rallocx keeps contents", n);
    want(is_zero(p, old, sallocx(p, 0)), "rallocx with zero", n);
    free(p);
    soil(n);
    p = mallocx(n, ZERO | LG_ALIGN(9));
    want(is_aligned(p, 9) && is_zero(p, 0, sallocx(p, 0)), "both flags", n);
    dallocx(p, 0);
}

static void alignments(size_t n)
{
    for (unsigned lg = 0; lg <= 22; lg++) {
        char *p = mallocx(n, (int)LG_ALIGN(lg));
        want(p && is_aligned(p, lg), "mallocx aligned", n);
        want(nallocx(n, (int)LG_ALIGN(lg)) >= n, "nallocx aligned", n);
        memset(p, 3, n);
        p = rallocx(p, 2 * n + 100, (int)LG_ALIGN(lg));
        want(is_aligned(p, lg), "rallocx aligned", n);
        want(p[0] == 3 && p[n - 1] == 3, "rallocx keeps contents", n);
        dallocx(p, (int)LG_ALIGN(lg));
    }
}

static void in_place(size_t n)
{
    char *p = mallocx(n, 0);
    size_t usable = sallocx(p, 0);
    want(xallocx(p, usable, 0, 0) == usable, "xallocx of what it has", n);
    want(xallocx(p, n, usable - n, 0) >= n, "xallocx with extra", n);
    want(xallocx(p, n, SIZE_MAX - n, 0) >= n, "xallocx, too much extra", n);
    want(xallocx(p, SIZE_MAX / 4, 0, 0) < SIZE_MAX / 4, "xallocx, too much", n);
    size_t old = sallocx(p, 0);
    memset(p, 5, old);
    size_t now = xallocx(p, old + 1, 3 * old, ZERO);
    want(now >= old, "what xallocx returns", n);
    want(is_zero(p, old, now), "xallocx with zero", n);
    want(p[0] == 5 && p[old - 1] == 5, "xallocx keeps", n);
    want(rallocx(p, SIZE_MAX / 2, 0) == NULL, "rallocx, too much", n);
    want(p[0] == 5, "what rallocx could not move", n);
    sdallocx(p, n, 0);
}

static void mixed(size_t n)
{
    char *p = malloc(n);
    p = rallocx(p, n * 2, 0);
    p = realloc(p, n * 3);
    sdallocx(p, n * 3, 0);
    p = calloc(1, n);
    want(xallocx(p, n, 0, 0) >= n, "xallocx of calloc's block", n);
    dallocx(p, 0);
    p = mallocx(n, 0);
    want(sallocx(p, 0) >= nallocx(n, 0), "sallocx and nallocx", n);
    p = realloc(p, n + 100);
    free(p);
}

__attribute__((noinline)) static void *planted(void)
{
    void *volatile p = mallocx(77777, LG_ALIGN(12) | ZERO);
    return p;
}

int main(void)
{
    static void *volatile kept;
    *(void **)&mallocx = dlsym(RTLD_DEFAULT, "mallocx");
    *(void **)&rallocx = dlsym(RTLD_DEFAULT, "rallocx");
    *(void **)&xallocx = dlsym(RTLD_DEFAULT, "xallocx");
    *(void **)&sallocx = dlsym(RTLD_DEFAULT, "sallocx");
    *(void **)&nallocx = dlsym(RTLD_DEFAULT, "nallocx");
    *(void **)&dallocx = dlsym(RTLD_DEFAULT, "dallocx");
    *(void **)&sdallocx = dlsym(RTLD_DEFAULT, "sdallocx");
    if (!mallocx || !rallocx || !xallocx || !sallocx || !nallocx || !dallocx ||
        !sdallocx) {
        puts("wrong: a function is missing");
        return 1;
    }
    static const size_t sizes[] = {1,    16,    17,    100,    1000,   4096,
                                   9000, 32768, 32769, 100000, 300001, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zeroes(sizes[i]);
        alignments(sizes[i]);
        in_place(sizes[i]);
        mixed(sizes[i]);
    }
    want(mallocx(SIZE_MAX / 2 + 2, 0) == NULL, "mallocx, too much", 0);
    want(nallocx(SIZE_MAX / 2 + 4096, 0) == 0, "nallocx, too much", 0);
    kept = planted();
    puts(wrong ? "wrong" : "all right");
    fflush(stdout);
    return wrong + (getchar() == 'x');
}
