/* SPDX-License-Identifier: BSD-2-Clause
 *
 * early.c - allocates where programs seldom do: before main, in constructors
 * of dlopened libraries, in threads that come and go, around fork, in exit
 * handlers.  Compiled once as a program and once, with -DLIBRARY, as the
 * library that the program opens (its path is argv[1]).  argv[2] is how to
 * end: "exit", "quick" or "return".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *made(size_t size, int byte)
{
    void *p = malloc(size);
    if (!p)
        abort();
    return memset(p, byte, size);
}

static int holds(const unsigned char *p, size_t size, int byte)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != byte)
            return 0;
    return 1;
}

static void say(const char *what, int good)
{
    char line[200];
    const int n =
        snprintf(line, sizeof(line), "%s %s\n", good ? "ok " : "bad", what);
    if (write(1, line, (size_t)n) < 0)
        _exit(3);
}

static unsigned char *from_constructor;

__attribute__((constructor)) static void construct(void)
{
    from_constructor = made(777, 0x77);
}

#ifdef LIBRARY

__attribute__((destructor)) static void destruct(void)
{
    say("library: what its constructor made is there",
        holds(from_constructor, 777, 0x77));
    free(from_constructor);
}

void *library_make(size_t size);
void *library_make(size_t size)
{
    return made(size, 0x11);
}

#else

static void before_everything(void)
{
    free(made(100, 1));
    from_constructor = made(10, 2);
    free(from_constructor);
}
__attribute__((section(".preinit_array"),
               used)) static void (*preinit)(void) = before_everything;

static void *short_life(void *p)
{
    free(p);
    for (size_t i = 1; i < 200; i++)
        free(made(i * 13, (int)i));
    return made(123, 0x23);
}

static void threads(void)
{
    int good = 1;
    for (int round = 0; round < 100; round++) {
        pthread_t id[4];
        for (int i = 0; i < 4; i++)
            if (pthread_create(&id[i], NULL, short_life, made(500, 5)))
                abort();
        for (int i = 0; i < 4; i++) {
            void *p;
            pthread_join(id[i], &p);
            good &= holds(p, 123, 0x23);
            free(p);
        }
    }
    say("400 threads give and take blocks", good);
}

static volatile int stop;

static void *busy(void *unused)
{
    while (!stop)
        for (size_t i = 1; i < 300; i += 3)
            free(made(i * 17, 1));
    return unused;
}

static void forks(void)
{
    pthread_t id[2];
    unsigned char *mine = made(4000, 0x40);
    int good = 1;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&id[i], NULL, busy, NULL))
            abort();
    for (int round = 0; round < 40; round++) {
        const pid_t child = fork();
        if (child == 0) {
            int fine = holds(mine, 4000, 0x40);
            free(mine);
            for (size_t i = 1; i < 500; i++) {
                unsigned char *p = made(i * 9, (int)i & 255);
                fine &= holds(p, i * 9, (int)i & 255);
                free(p);
            }
            pthread_t inner;
            void *p;
            fine &= !pthread_create(&inner, NULL, short_life, made(1, 1)) &&
                    !pthread_join(inner, &p) && holds(p, 123, 0x23);
            _exit(!fine);
        }
        int status;
        good &= child > 0 && waitpid(child, &status, 0) == child &&
                WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(id[i], NULL);
    say("forked beside busy threads, children and parent go on",
        good && holds(mine, 4000, 0x40));
    free(mine);
}

static void libraries(const char *path)
{
    int good = 1;
    void *kept[20];
    for (int i = 0; i < 20; i++) {
        void *library = dlopen(path, RTLD_NOW);
        if (!library) {
            say(dlerror(), 0);
            return;
        }
        void *(*make)(size_t) =
            (void *(*)(size_t))dlsym(library, "library_make");
        kept[i] = make((size_t)i + 50);
        dlclose(library);
    }
    for (int i = 0; i < 20; i++) {
        good &= holds(kept[i], (size_t)i + 50, 0x11);
        free(kept[i]);
    }
    say("blocks outlive the library that made them", good);
    good = dlopen("/nowhere/at/all.so", RTLD_NOW) == NULL;
    say("dlerror has memory for its text", good && strlen(dlerror()) > 5);
}

static unsigned char *for_exit;

static void at_exit(void)
{
    free(made(3000, 3));
    say("exit handler finds its block", holds(for_exit, 99, 0x99));
    free(for_exit);
}

static pthread_key_t key;

static void at_thread_exit(void *p)
{
    say("destructor of thread data finds its block", holds(p, 60, 0x60));
    free(p);
    free(made(200, 2));
}

static void *with_data(void *unused)
{
    pthread_setspecific(key, made(60, 0x60));
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t id;
    if (argc < 3)
        return 2;
    say("constructor made its block", holds(from_constructor, 777, 0x77));
    free(from_constructor);
    threads();
    forks();
    libraries(argv[1]);
    pthread_key_create(&key, at_thread_exit);
    if (pthread_create(&id, NULL, with_data, NULL) || pthread_join(id, NULL))
        return 2;
    for_exit = made(99, 0x99);
    if (!strcmp(argv[2], "quick")) {
        at_quick_exit(at_exit);
        quick_exit(0);
    }
    atexit(at_exit);
    if (!strcmp(argv[2], "exit"))
        exit(0);
    return 0;
}
#endif
