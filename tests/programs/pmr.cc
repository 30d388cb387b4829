/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows that memtrace_pmr.h does what tests/e2e/pmr expects.
 */
#include <cstdint>
#include <cstdio>
#include <list>
#include <memtrace_pmr.h>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static int failures;

#define EXPECT(what)                                                           \
    do {                                                                       \
        if (!(what)) {                                                         \
            std::printf("line %d: %s\n", __LINE__, #what);                     \
            failures++;                                                        \
        }                                                                      \
    } while (0)

static std::size_t blocks(const memtrace::heap_resource &resource)
{
    struct memtrace_stats stats;
    memtrace_heap_stats(resource.get(), &stats);
    return stats.blocks;
}

static void containers()
{
    memtrace::heap heap("containers");
    {
        std::pmr::vector<std::pmr::string> strings(&heap);
        for (int i = 0; i < 1000; i++)
            strings.emplace_back(100, 'x');
        EXPECT(blocks(heap) == 1001);
        EXPECT(memtrace_heap_of(strings[7].data()) == heap.get());
        std::pmr::unordered_map<int, std::pmr::list<int>> lists(&heap);
        for (int i = 0; i < 1000; i++)
            lists[i % 10].push_back(i);
        EXPECT(lists[3].size() == 100);
        EXPECT(lists[3].get_allocator().resource() == &heap);
    }
    EXPECT(blocks(heap) == 0);
    EXPECT(memtrace_heap_check(heap.get()) == 0);
}

static void alignments()
{
    memtrace::heap heap("alignments");
    for (std::size_t align = 1; align <= 1 << 20; align *= 2)
        for (std::size_t size : {0, 1, 100, 5000, 100000}) {
            void *p = heap.allocate(size, align);
            EXPECT(reinterpret_cast<std::uintptr_t>(p) % align == 0);
            heap.deallocate(p, size, align);
        }
    EXPECT(blocks(heap) == 0);
}

static void equality()
{
    memtrace::heap one("one"), two("two");
    memtrace::heap_resource same(one.get()), main_heap;
    EXPECT(one == same && same == one);
    EXPECT(one != two && one != main_heap);
    EXPECT(one != *std::pmr::new_delete_resource());
    std::pmr::vector<int> a({1, 2, 3}, &one), b(&two);
    b = std::move(a); /* copied: the heaps differ */
    EXPECT(b.size() == 3 && memtrace_heap_of(b.data()) == two.get());
}

static void running_out()
{
    memtrace::heap heap("small", 1 << 20);
    bool thrown = false;
    std::pmr::vector<char> v(&heap);
    v.resize(1000, 'x');
    try {
        v.resize(10 << 20);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    EXPECT(thrown && v.size() == 1000 && v[999] == 'x');
    thrown = false;
    try {
        memtrace::heap nameless("");
    } catch (const std::system_error &error) {
        thrown = error.code().value() == EINVAL;
    }
    EXPECT(thrown);
}

static void threads()
{
    memtrace::heap heap("threads");
    std::vector<std::thread> all;
    for (int t = 0; t < 4; t++)
        all.emplace_back([&heap] {
            for (int i = 0; i < 2000; i++) {
                std::pmr::string s(static_cast<std::size_t>(i % 300), 'y',
                                   &heap);
                EXPECT(s.size() == static_cast<std::size_t>(i % 300));
            }
        });
    for (std::thread &t : all)
        t.join();
    EXPECT(blocks(heap) == 0);
    EXPECT(memtrace_heap_check(heap.get()) == 0);
}

static void other_resources()
{
    memtrace::heap heap("upstream");
    {
        std::pmr::monotonic_buffer_resource buffer(1024, &heap);
        std::pmr::vector<int> v(&buffer);
        for (int i = 0; i < 10000; i++)
            v.push_back(i);
        EXPECT(blocks(heap) > 0);
    }
    EXPECT(blocks(heap) == 0);
}

int main()
{
    containers();
    alignments();
    equality();
    running_out();
    threads();
    other_resources();
    EXPECT(memtrace_heap_find("threads") == nullptr); /* destroyed */
    return failures != 0;
}
