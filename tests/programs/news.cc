// SPDX-License-Identifier: BSD-2-Clause
//
// news.cc - every form of operator new and delete, and what stands on them.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Opaque, so that the compiler cannot pair a new with its delete and drop both.
template <class T> static T *hide(T *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static std::size_t hide_size(std::size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

static int wrong;

static void fact(const char *name, bool holds)
{
    std::printf("%s %s\n", holds ? "ok " : "bad", name);
    wrong += !holds;
}

struct alignas(256) Wide {
    char bytes[300];
    explicit Wide(char c)
    {
        for (char &b : bytes)
            b = c;
    }
    virtual ~Wide() = default;
};

struct Thrower {
    std::string text = std::string(1000, 'x');
    Thrower()
    {
        throw std::runtime_error("constructor");
    }
};

static void plain()
{
    int *one = hide(new int(5));
    fact("new int", *one == 5);
    delete one;
    auto *many = hide(new std::string[10]);
    many[9] = std::string(100, 'y');
    fact("new []", many[9].size() == 100);
    delete[] many;
    ::operator delete(hide(::operator new(100)));
    ::operator delete(hide(::operator new(100)), std::size_t(100));
    ::operator delete[](hide(::operator new[](100)));
    ::operator delete[](hide(::operator new[](100)), std::size_t(100));
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    fact("operator new(0)", hide(::operator new(0)) != nullptr);
}

static void nothrow()
{
    void *p = hide(::operator new(50, std::nothrow));
    void *q = hide(::operator new[](50, std::nothrow));
    fact("nothrow", p && q);
    ::operator delete(p, std::nothrow);
    ::operator delete[](q, std::nothrow);
    fact("nothrow of too much is null",
         !::operator new(hide_size(SIZE_MAX / 2), std::nothrow) &&
             !::operator new[](hide_size(SIZE_MAX / 2), std::nothrow));
    fact("aligned nothrow of too much is null",
         !::operator new(hide_size(SIZE_MAX / 2), std::align_val_t(64),
                         std::nothrow));
}

static void aligned()
{
    const std::align_val_t a{1024};
    auto is_aligned = [](void *p) {
        return reinterpret_cast<std::uintptr_t>(p) % 1024 == 0;
    };
    void *p = hide(::operator new(10, a)), *q = hide(::operator new[](10, a));
    void *r = hide(::operator new(10, a, std::nothrow));
    void *s = hide(::operator new[](10, a, std::nothrow));
    fact("aligned", is_aligned(p) && is_aligned(q) && is_aligned(r) &&
                        is_aligned(s));
    ::operator delete(p, a);
    ::operator delete[](q, std::size_t(10), a);
    ::operator delete(r, a, std::nothrow);
    ::operator delete[](s, a, std::nothrow);
    ::operator delete(hide(::operator new(10, a)), std::size_t(10), a);
    ::operator delete[](hide(::operator new[](10, a)), a);
    Wide *wide = hide(new Wide('w'));
    fact("over-aligned class",
         reinterpret_cast<std::uintptr_t>(wide) % 256 == 0 &&
             wide->bytes[299] == 'w');
    delete wide;
    auto *array = hide(static_cast<Wide *>(::operator new[](
        3 * sizeof(Wide), std::align_val_t(alignof(Wide)))));
    ::operator delete[](array, std::align_val_t(alignof(Wide)));
}

static int handler_calls;

static void handler()
{
    if (++handler_calls == 3)
        throw std::bad_alloc();
}

static void throwing()
{
    bool caught = false;
    try {
        hide(::operator new(hide_size(SIZE_MAX / 2)));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    fact("new of too much throws bad_alloc", caught);
    std::set_new_handler(handler);
    caught = false;
    try {
        hide(::operator new(hide_size(SIZE_MAX / 2)));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    fact("after the new_handler gave up", caught && handler_calls == 3);
    handler_calls = 0;
    fact("which nothrow new calls too, and turns into null",
         !::operator new(hide_size(SIZE_MAX / 2), std::nothrow) &&
             handler_calls == 3);
    std::set_new_handler(nullptr);
    caught = false;
    try {
        delete hide(new Thrower);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    fact("a constructor that throws gives its memory back", caught);
    caught = false;
    try {
        std::vector<int> v;
        v.reserve(hide_size(v.max_size()));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    fact("a vector of max_size throws bad_alloc", caught);
}

static void containers()
{
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 5000; i++)
        map[std::to_string(i % 700)].push_back(i);
    long sum = 0;
    for (const auto &entry : map)
        for (int i : entry.second)
            sum += i;
    fact("containers", sum == 4999L * 5000 / 2);
    auto shared = std::make_shared<std::list<std::string>>();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t] {
            std::vector<std::unique_ptr<std::string>> strings;
            for (int i = 0; i < 2000; i++) {
                strings.push_back(std::make_unique<std::string>(t + i, 't'));
                if (i % 3 == 0)
                    strings.erase(strings.begin());
            }
        });
    for (auto &thread : threads)
        thread.join();
    for (int i = 0; i < 100; i++)
        shared->push_back(std::string(i, 's'));
    fact("threads", shared->back().size() == 99);
}

// libstdc++'s own give a block of no bytes for some of these.
static void near_the_end()
{
    for (std::size_t less : {0, 1, 100, 4095, 4096, 100000})
        for (std::size_t align : {16, 64, 4096, 1 << 20}) {
            const std::align_val_t a{align};
            const std::size_t size = hide_size(SIZE_MAX - less);
            bool thrown = false;
            try {
                ::operator delete(hide(::operator new(size, a)), a);
            } catch (const std::bad_alloc &) {
                thrown = true;
            }
            fact("a size near SIZE_MAX", thrown && !hide(::operator new[](
                                             size, a, std::nothrow)));
        }
}

int main(int argc, char **)
{
    if (argc > 1) {
        near_the_end();
        return wrong != 0;
    }
    plain();
    nothrow();
    aligned();
    throwing();
    containers();
    return wrong != 0;
}
