/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_pmr.h - traced heaps as memory resources of C++17
 * (<memory_resource>).
 *
 *     memtrace::heap requests("requests", 64 << 20);
 *     std::pmr::vector<int> v(&requests);
 *
 * Link with -lmemtrace, or run under libmemtrace-preload.so.
 *
 * Threads: a heap_resource may be used by as many threads as its heap; heaps
 * that memtrace::heap creates are locked, so by all.
 */
#ifndef MEMTRACE_PMR_H
#define MEMTRACE_PMR_H

#include <cerrno>
#include <cstddef>
#include <memory_resource>
#include <memtrace.h>
#include <new>
#include <system_error>

namespace memtrace
{

/* The blocks of a heap that somebody else owns; nullptr: the main heap. */
class heap_resource : public std::pmr::memory_resource
{
  public:
    explicit heap_resource(memtrace_heap *heap = nullptr) noexcept : heap_(heap)
    {
    }
    memtrace_heap *get() const noexcept
    {
        return heap_;
    }

  protected:
    /* Throws std::bad_alloc when the heap, its limit or memory is full. */
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void *block = memtrace_alloc_aligned(heap_, alignment, bytes);
        if (block == nullptr)
            throw std::bad_alloc();
        return block;
    }
    void do_deallocate(void *block, std::size_t, std::size_t) override
    {
        memtrace_free(block);
    }
    /* Equal: of the same heap.  (Any of them frees any block; but containers
     * that move to another heap want their elements there.) */
    bool
    do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        const auto *that = dynamic_cast<const heap_resource *>(&other);
        return that != nullptr && that->heap_ == heap_;
    }

  private:
    memtrace_heap *heap_;
};

/* A heap of its own, destroyed with all its blocks when this is. */
class heap : public heap_resource
{
  public:
    /* `size` bytes, fixed; 0: grows as needed.  Throws std::system_error. */
    explicit heap(const char *name, std::size_t size = 0, unsigned flags = 0)
        : heap_resource(create(name, size, flags))
    {
    }
    /* All options of memtrace_heap_create(). */
    explicit heap(const memtrace_heap_options &options)
        : heap_resource(create(options))
    {
    }
    heap(const heap &) = delete;
    heap &operator=(const heap &) = delete;
    ~heap() override
    {
        memtrace_heap_destroy(get());
    }

  private:
    static memtrace_heap *create(const memtrace_heap_options &options)
    {
        memtrace_heap *made = memtrace_heap_create(&options);
        if (made == nullptr)
            throw std::system_error(errno, std::generic_category(),
                                    "memtrace_heap_create");
        return made;
    }
    static memtrace_heap *create(const char *name, std::size_t size,
                                 unsigned flags)
    {
        memtrace_heap_options options = {};
        options.name = name;
        options.size = size;
        options.flags = flags | MEMTRACE_HEAP_LOCKED;
        return create(options);
    }
};

} // namespace memtrace

#endif
