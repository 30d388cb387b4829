// SPDX-License-Identifier: BSD-2-Clause
//
// losses.cc - loses blocks in functions that its arguments name:
//
//     losses WORD...
//
// first, second: one block of 100, 200 bytes by operator new; list: a head of
// 16 bytes with two more on it; c: 64 bytes by calloc in a C function; inside:
// 300 bytes to whose inside alone a pointer is left; empty: 3 blocks of 0
// bytes; many: 14 functions lose 1 to 14 blocks of 50 bytes each; wait: says
// "ready" and sleeps.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

static void *volatile kept;

#define HIDDEN __attribute__((noinline))
#ifndef SHIFT
#define SHIFT 0
#endif

#if SHIFT
// Moves code and lines.
HIDDEN static int filler(int n)
{
    volatile int sum = n;
    for (int i = 0; i < n; i++)
        sum = sum * 31 + i;
    return sum;
}



#endif

struct node {
    node *next;
    long value;
};

extern "C" HIDDEN void c_loses(void)
{
    kept = calloc(4, 16);
    kept = nullptr;
}

namespace space
{
HIDDEN void first(int n)
{
#if SHIFT
    filler(n);
#endif
    for (volatile int i = 0; i < n; i++)
        kept = new char[100];
    kept = nullptr;
}

template <typename T> HIDDEN void second(T n)
{
    kept = new char[n];
    kept = nullptr;
}

HIDDEN void list()
{
    for (volatile int i = 0; i < 3; i++)
        kept = new node{static_cast<node *>(kept), i};
    kept = nullptr;
}

HIDDEN void inside()
{
    kept = static_cast<char *>(malloc(300)) + 100;
}

template <int N> HIDDEN void many()
{
    for (volatile int i = 0; i < N; i++)
        kept = malloc(50);
    kept = nullptr;
    if constexpr (N > 1)
        many<N - 1>();
}
} // namespace space

HIDDEN static void empty()
{
    for (volatile int i = 0; i < 3; i++)
        kept = malloc(0);
    kept = nullptr;
}

HIDDEN static void obey(const char *word)
{
    if (strcmp(word, "first") == 0)
        space::first(1);
    else if (strcmp(word, "second") == 0)
        space::second(200);
    else if (strcmp(word, "list") == 0)
        space::list();
    else if (strcmp(word, "c") == 0)
        c_loses();
    else if (strcmp(word, "inside") == 0)
        space::inside();
    else if (strcmp(word, "empty") == 0)
        empty();
    else if (strcmp(word, "many") == 0)
        space::many<14>();
    else if (strcmp(word, "wait") == 0) {
        puts("ready");
        fflush(stdout);
        sleep(60);
    }
}

// What callees left on the stack and in registers is not to hold anything.
HIDDEN static void wipe()
{
    volatile char junk[16384];

    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = 0;
    __asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\t"
                     "xor %%edx, %%edx\n\txor %%esi, %%esi\n\t"
                     "xor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
                     "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\t"
                     "xor %%r11d, %%r11d"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
                       "r11", "cc");
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        obey(argv[i]);
        wipe();
    }
    return 0;
}
