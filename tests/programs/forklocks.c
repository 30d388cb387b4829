/* SPDX-License-Identifier: BSD-2-Clause
 *
 * forklocks LOCK CHILD SECONDS: two threads hold a lock of the C library and
 * allocate below it, two only allocate, while the main thread makes children.
 * Prints "done" and the number of children.
 *     LOCK   stdio, files, nss, loader, locale, atexit, time, all
 *     CHILD  fork: the child allocates and uses stdio; spawn: posix_spawn();
 *            vfork: vfork() and execve()
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <grp.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static bool ends;
static const char *lock;

static bool is_wanted(const char *name)
{
    return strcmp(lock, name) == 0 || strcmp(lock, "all") == 0;
}

static void nothing(void)
{
}

static void use_locks(unsigned round)
{
    if (is_wanted("stdio")) {
        char *line = NULL;
        size_t room = 0;
        FILE *file = fopen("/etc/passwd", "re");
        while (file && getline(&line, &room, file) > 0)
            ;
        free(line);
        if (file)
            fclose(file);
    }
    if (is_wanted("files")) {
        char *text = NULL;
        size_t bytes = 0;
        FILE *file = open_memstream(&text, &bytes);
        for (int i = 0; file && i < 200; i++)
            fprintf(file, "%d %s\n", i, "some text that makes it grow");
        fflush(NULL);
        if (file)
            fclose(file);
        free(text);
    }
    if (is_wanted("nss")) {
        char text[4096];
        struct passwd entry, *found;
        struct addrinfo *address = NULL;
        getpwnam_r("daemon", &entry, text, sizeof text, &found);
        if (getaddrinfo("localhost", "80", NULL, &address) == 0)
            freeaddrinfo(address);
        setgrent();
        while (getgrent())
            ;
        endgrent();
    }
    if (is_wanted("loader")) {
        void *library = dlopen("libutil.so.1", RTLD_NOW);
        void *other = dlopen("libm.so.6", RTLD_NOW);
        dlsym(RTLD_DEFAULT, "no such name");
        if (library)
            dlclose(library);
        if (other)
            dlclose(other);
    }
    if (is_wanted("locale")) {
        locale_t l = newlocale(LC_ALL_MASK, round % 2 ? "C.UTF-8" : "C", NULL);
        if (l)
            freelocale(l);
        setlocale(LC_ALL, round % 2 ? "C.UTF-8" : "C");
    }
    if (is_wanted("atexit") && round % 64 == 0)
        atexit(nothing);
    if (is_wanted("time")) {
        time_t now = (time_t)round * 100000;
        struct tm parts;
        setenv("TZ", round % 2 ? "Europe/Berlin" : "UTC", 1);
        tzset();
        localtime_r(&now, &parts);
    }
}

static void *hold(void *unused)
{
    for (unsigned i = 0; !__atomic_load_n(&ends, __ATOMIC_RELAXED); i++)
        use_locks(i);
    return unused;
}

static void allocate(unsigned seed)
{
    void *p[50] = {NULL};
    for (int i = 0; i < 500; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned k = (seed >> 8) % 50;
        free(p[k]);
        p[k] = malloc(seed >> 16);
    }
    for (int i = 0; i < 50; i++)
        free(p[i]);
}

static void *churn(void *unused)
{
    while (!__atomic_load_n(&ends, __ATOMIC_RELAXED))
        allocate(7);
    return unused;
}

static pid_t make_child(const char *how)
{
    static char *const arguments[] = {"/bin/true", NULL};
    pid_t child = -1;
    if (strcmp(how, "spawn") == 0) {
        posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ);
    } else if (strcmp(how, "vfork") == 0) {
        child = vfork();
        if (child == 0) {
            execve(arguments[0], arguments, environ);
            _exit(9);
        }
    } else {
        child = fork();
        if (child == 0) {
            FILE *file = fopen("/dev/null", "we");
            allocate(5);
            if (file) {
                fprintf(file, "%d\n", 1);
                fclose(file);
            }
            _exit(0);
        }
    }
    return child;
}

int main(int argc, char **argv)
{
    pthread_t threads[4];
    unsigned children = 0;
    if (argc != 4)
        return 2;
    lock = argv[1];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i < 2 ? hold : churn, NULL);
    time_t end = time(NULL) + atoi(argv[3]);
    while (time(NULL) < end) {
        int status;
        pid_t child = make_child(argv[2]);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 3;
        children++;
    }
    __atomic_store_n(&ends, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("done %u\n", children);
    return 0;
}
