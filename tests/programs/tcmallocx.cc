// SPDX-License-Identifier: BSD-2-Clause
//
// The functions of gperftools' tcmalloc.h, for tests/e2e/allocators, mixed with
// malloc, free and operator new. They are looked up by name.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <new>

static int wrong;

static void want(bool ok, const char *what)
{
    if (!ok) {
        wrong = 1;
        std::printf("wrong: %s\n", what);
    }
}

template <class F> static F *find(const char *name)
{
    void *function = dlsym(RTLD_DEFAULT, name);
    if (function == nullptr) {
        std::printf("wrong: there is no %s\n", name);
        std::exit(1);
    }
    return reinterpret_cast<F *>(function);
}

static void check(void *p, size_t size, size_t align, const char *what)
{
    want(p != nullptr, what);
    if (align == 16 && size < 16) // tcmalloc aligns small blocks less
        align = 8;
    want(reinterpret_cast<uintptr_t>(p) % align == 0, what);
    want(malloc_usable_size(p) >= size, what);
    want(find<size_t(void *)>("tc_malloc_size")(p) >= size, what);
    std::memset(p, 1, size);
}

static void family(size_t size)
{
    auto tc_free = find<void(void *)>("tc_free");
    void *p = find<void *(size_t)>("tc_malloc")(size);
    check(p, size, 16, "tc_malloc");
    std::free(std::realloc(p, size * 2));
    p = find<void *(size_t)>("tc_malloc_skip_new_handler")(size);
    check(p, size, 16, "tc_malloc_skip_new_handler");
    p = find<void *(void *, size_t)>("tc_realloc")(p, size + 500);
    check(p, size + 500, 16, "tc_realloc");
    find<void(void *)>("tc_cfree")(p);
    p = find<void *(size_t, size_t)>("tc_calloc")(size, 3);
    want(*static_cast<char *>(p) == 0, "tc_calloc");
    tc_free(p);
    tc_free(std::malloc(size));
    p = find<void *(size_t, size_t)>("tc_memalign")(256, size);
    check(p, size, 256, "tc_memalign");
    find<void(void *, size_t)>("tc_free_sized")(p, size);
    want(find<int(void **, size_t, size_t)>("tc_posix_memalign")(&p, 64,
                                                                 size) == 0,
         "tc_posix_memalign");
    check(p, size, 64, "tc_posix_memalign");
    std::free(p);
    p = find<void *(size_t)>("tc_valloc")(size);
    check(p, size, 4096, "tc_valloc");
    std::free(p);
    p = find<void *(size_t)>("tc_pvalloc")(size);
    check(p, 4096, 4096, "tc_pvalloc");
    std::free(p);
}

static void operators(size_t size)
{
    void *p = find<void *(size_t)>("tc_new")(size);
    check(p, size, 16, "tc_new");
    ::operator delete(p);
    p = find<void *(size_t, const std::nothrow_t &)>("tc_newarray_nothrow")(
        size, std::nothrow);
    check(p, size, 16, "tc_newarray_nothrow");
    find<void(void *)>("tc_deletearray")(p);
    p = find<void *(size_t, std::align_val_t)>("tc_new_aligned")(
        size, std::align_val_t(512));
    check(p, size, 512, "tc_new_aligned");
    find<void(void *, size_t, std::align_val_t)>("tc_delete_sized_aligned")(
        p, size, std::align_val_t(512));
    find<void(void *, size_t)>("tc_delete_sized")(::operator new(size), size);
    bool thrown = false;
    try {
        find<void *(size_t)>("tc_new")(SIZE_MAX / 2);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    want(thrown, "tc_new throws");
    want(find<void *(size_t)>("tc_malloc")(SIZE_MAX / 2) == nullptr,
         "tc_malloc, too much");
}

int main()
{
    static const size_t sizes[] = {1, 100, 5000, 40000, 1000000};
    for (size_t size : sizes) {
        family(size);
        operators(size);
    }
    std::puts(wrong ? "wrong" : "all right");
    return wrong;
}
