/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that replaces some of the operators: BASIC, the two that all others
 * are defined by, with a header before each block; ARRAYS, those of arrays;
 * MALLOC, the C functions, with an arena. MODULE: what a C program loads.
 */
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <new>
#include <string>
#include <vector>

#ifdef MODULE

extern "C" int catch_bad_alloc();
extern "C" int catch_bad_alloc()
{
    volatile std::size_t much = SIZE_MAX / 4;
    int caught = 0;
    try {
        delete[] new char[much];
    } catch (std::bad_alloc &) {
        caught++;
    }
    try {
        ::operator delete(::operator new(much, std::align_val_t(64)),
                          std::align_val_t(64));
    } catch (std::bad_alloc &) {
        caught++;
    }
    return caught + !new (std::nothrow) char[much];
}

#else

static long live, calls;

#ifdef BASIC
struct header {
    std::size_t size, magic;
};

void *operator new(std::size_t size)
{
    auto *h = static_cast<header *>(std::malloc(sizeof(header) + size));
    if (!h || size > SIZE_MAX / 8)
        throw std::bad_alloc();
    *h = {size, 0x600df00d};
    live += static_cast<long>(size);
    calls++;
    return h + 1;
}

void operator delete(void *p) noexcept
{
    if (!p)
        return;
    header *h = static_cast<header *>(p) - 1;
    if (h->magic != 0x600df00d) {
        std::puts("bad: another's block");
        std::fflush(stdout);
        std::_Exit(3);
    }
    h->magic = 0;
    live -= static_cast<long>(h->size);
    std::free(h);
}
#endif

#ifdef ARRAYS
void *operator new[](std::size_t size)
{
    calls++;
    char *p = static_cast<char *>(std::malloc(size + 16));
    if (!p)
        throw std::bad_alloc();
    return p + 16;
}

void operator delete[](void *p) noexcept
{
    if (p)
        std::free(static_cast<char *>(p) - 16);
}
#endif

#ifdef MALLOC
static char arena[16 << 20] __attribute__((aligned(16)));
static std::size_t top;

static bool is_mine(const void *p)
{
    return p >= arena && p < arena + sizeof arena;
}

extern "C" {
void *malloc(std::size_t size)
{
    if (size > sizeof arena)
        return nullptr;
    size = (size + 31) & ~std::size_t(15);
    std::size_t at = __atomic_fetch_add(&top, size, __ATOMIC_RELAXED);
    if (at + size > sizeof arena)
        return nullptr;
    std::size_t room = size - 16;
    std::memcpy(arena + at, &room, sizeof room);
    calls++;
    return arena + at + 16;
}

void free(void *p)
{
    if (p && !is_mine(p)) {
        std::fputs("bad: another's block\n", stderr);
        std::_Exit(3);
    }
}

void *calloc(std::size_t n, std::size_t size)
{
    void *p = malloc(n * size);
    return p ? std::memset(p, 0, n * size) : p;
}

void *realloc(void *p, std::size_t size)
{
    std::size_t old = 0;
    void *moved = malloc(size);
    if (p)
        std::memcpy(&old, static_cast<char *>(p) - 16, sizeof old);
    return p && moved ? std::memcpy(moved, p, old < size ? old : size) : moved;
}

void *aligned_alloc(std::size_t align, std::size_t size)
{
    auto p = reinterpret_cast<std::uintptr_t>(malloc(size + align));
    return reinterpret_cast<void *>((p + align - 1) & ~(align - 1));
}

/* Some releases of libstdc++ take aligned blocks by this. */
int posix_memalign(void **result, std::size_t align, std::size_t size)
{
    *result = aligned_alloc(align, size);
    return 0;
}
}
#endif

struct thing {
    int a[10] = {1};
    ~thing()
    {
        a[0] = 0;
    }
};

struct alignas(64) wide {
    char a[100];
};

int main()
{
    /* A glibc before 2.34 allocates in a thread's first dlsym, which may be
     * the library's. */
    dlsym(RTLD_DEFAULT, "main");
    calls = 0;
    delete new (std::nothrow) thing;
    delete[] new thing[5];
    delete[] new (std::nothrow) thing[3];
    ::operator delete(::operator new(10), std::size_t(10));
    ::operator delete[](::operator new[](8), std::size_t(8));
    ::operator delete(::operator new(8), std::nothrow);
    delete new wide;
    delete[] new wide[3];
    delete new (std::nothrow) wide;
    std::vector<int> v;
    for (int i = 0; i < 1000; i++)
        v.push_back(i * 7919 % 1000);
    std::stable_sort(v.begin(), v.end());
    std::vector<std::string> text(100, std::string(100, 'x'));
    volatile std::size_t much = SIZE_MAX / 4;
    std::printf("%d\n", new (std::nothrow) char[much] != nullptr);
    try {
        delete[] new char[much];
        std::puts("bad: there is no such memory");
    } catch (std::bad_alloc &) {
        std::puts("thrown");
    }
    text.clear();
    text.shrink_to_fit();
    v = std::vector<int>();
    std::printf("live %ld, %ld calls\n", live, calls);
    return 0;
}

#endif
