/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small server with containers, for tests/e2e/summary: sessions in a hash
 * table, names in a map, two callers of one function, 30 more sites, and
 * a function that std::function calls, and temporaries.
 */
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

struct Session {
    std::string name;
    std::vector<int> data;
};

class Cache
{
  public:
    void add(int i);

  private:
    std::unordered_map<std::string, std::unique_ptr<Session>> by_name;
    std::map<int, std::string> names;
};

__attribute__((noinline)) void Cache::add(int i)
{
    auto session = std::make_unique<Session>();
    session->name = "session number " + std::to_string(i) + ", a long name";
    for (int k = 0; k < i % 50; k++)
        session->data.push_back(k);
    names[i] = session->name;
    by_name.emplace(session->name, std::move(session));
}

static Cache cache;
static void *volatile kept[1000];
static int n_kept;

__attribute__((noinline)) static void *buffer(size_t bytes)
{
    return kept[n_kept++] = malloc(bytes);
}
__attribute__((noinline)) static void accept_client()
{
    buffer(10000);
}
__attribute__((noinline)) static void log_line()
{
    buffer(12000);
}

template <int N> __attribute__((noinline)) void site()
{
    kept[n_kept++] = malloc(100 + N);
    if constexpr (N > 0)
        site<N - 1>();
}

__attribute__((noinline)) static void called()
{
    kept[n_kept++] = malloc(9000);
}

__attribute__((noinline)) static void temporaries()
{
    for (int i = 0; i < 1234; i++) {
        void *volatile p = malloc(333);
        free(p);
    }
}

int main()
{
    temporaries();
    volatile bool never = false;
    std::function<void()> call = [] { called(); };

    if (never)
        call = [] { accept_client(); };
    call();
    for (int i = 0; i < 500; i++)
        cache.add(i);
    for (int i = 0; i < 20; i++)
        accept_client(), log_line();
    site<30>();
    puts("ready");
    fflush(stdout);
    char c; /* stdio would allocate a buffer while it is looked at */
    return read(0, &c, 1) < 0;
}
