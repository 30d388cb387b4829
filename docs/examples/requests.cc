// SPDX-License-Identifier: BSD-2-Clause
//
// Each request works in a traced heap of its own: what it allocates is
// bounded, is shown by call stack, and is gone with the request.
//
//     g++ -std=c++17 requests.cc -o requests -lmemtrace

#include <cstdio>
#include <map>
#include <memory_resource>
#include <memtrace_pmr.h>
#include <string>
#include <vector>

namespace
{

using words = std::pmr::map<std::pmr::string, int>;

// Counts the words of a text in memory of `resource` alone.
words count(const std::string &text, std::pmr::memory_resource *resource)
{
    words found(resource);
    std::pmr::string word(resource);
    for (char c : text + " ") {
        if (c != ' ')
            word += c;
        else if (!word.empty())
            ++found[std::move(word)], word.clear();
    }
    return found;
}

// A request that may take 1 MiB; false if that did not do.
bool serve(const std::string &text)
{
    memtrace::heap heap("request", 1 << 20, MEMTRACE_HEAP_TRACE);
    try {
        words found = count(text, &heap);
        memtrace_stats stats;
        memtrace_heap_stats(heap.get(), &stats);
        std::printf("%zu words, %zu blocks, untraced %zu\n", found.size(),
                    stats.blocks, stats.untraced_blocks);
        return true;
    } catch (const std::bad_alloc &) {
        std::printf("out of the request's memory\n");
        return false;
    }
}

} // namespace

int main()
{
    std::string all;
    for (int i = 0; i < 1000; i++)
        all += "a-word-that-is-longer-than-others-" + std::to_string(i) + " ";
    if (!serve("the quick brown fox and the lazy dog and the end"))
        return 1;
    if (!serve(all))
        return 1;
    for (int i = 0; i < 20000; i++)
        all += "a-word-that-is-longer-than-others-" + std::to_string(i) + " ";
    return serve(all) ? 1 : 0;
}
