/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ends.c - leaks or does not, then ends in the way that its arguments say:
 *
 *     ends WORD...
 *
 * leak: loses 3 blocks of 100 bytes.  keep: keeps one of 5000 bytes.  others
 * are below.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile kept;
static char **words;
extern char **environ;

__attribute__((noinline)) static void lose(void)
{
    for (volatile int i = 0; i < 3; i++)
        kept = malloc(100);
    kept = NULL;
}

/* Clears pointers that main and its callees left on the stack, and in registers
 * that calls need not keep. */
__attribute__((noinline)) static void wipe(void)
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

static void leak(void)
{
    lose();
    wipe();
}

/* Loses a block from a stack that is deeper by one each time. */
__attribute__((noinline)) static void lose_below(int depth)
{
    if (depth > 0)
        lose_below(depth - 1);
    else
        lose();
    __asm__ volatile("" ::: "memory");
}

static void lose_from(int stacks)
{
    for (int i = 0; i < stacks; i++)
        lose_below(i);
    wipe();
}

static void *sleeper(void *held)
{
    void *volatile mine = held;

    for (;;)
        pause();
    return mine;
}

static void *short_lived(void *unused)
{
    free(malloc(10));
    return unused;
}

/* Five threads whose stacks alone hold a block each; ten that come and go. */
static void threads(void)
{
    pthread_t thread;

    for (int i = 0; i < 10; i++) {
        pthread_create(&thread, NULL, short_lived, NULL);
        pthread_join(thread, NULL);
    }
    for (int i = 0; i < 5; i++)
        pthread_create(&thread, NULL, sleeper, malloc(200));
    memset(&thread, 0, sizeof thread);
    wipe();
    usleep(50000);
}

static void *becomes_other(void *unused)
{
    char *other[] = {words[0], "leak", NULL};

    execv(words[0], other);
    return unused;
}

/* execve in a thread that is not the first one. */
static void exec_in_thread(void)
{
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, sleeper, NULL);
    pthread_create(&thread, NULL, becomes_other, NULL);
    for (;;)
        pause();
}

static void *outlives(void *unused)
{
    usleep(50000);
    leak();
    exit(0);
    return unused;
}

static void child(int leaks)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (leaks)
            leak();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void spawn(void)
{
    char *other[] = {words[0], "leak", NULL}, *none[] = {"none", NULL};
    pid_t pid;

    if (posix_spawn(&pid, words[0], NULL, NULL, other, environ) == 0)
        waitpid(pid, NULL, 0);
    if (posix_spawn(&pid, "/does/not/exist", NULL, NULL, none, environ) == 0)
        waitpid(pid, NULL, 0);
}

static void obey(const char *word)
{
    pthread_t thread;

    if (strcmp(word, "leak") == 0)
        leak();
    else if (strcmp(word, "many-stacks") == 0)
        lose_from(25);
    else if (strcmp(word, "keep") == 0)
        kept = malloc(5000);
    else if (strcmp(word, "threads") == 0)
        threads();
    else if (strcmp(word, "children") == 0)
        for (int i = 0; i < 3; i++)
            child(i == 1);
    else if (strcmp(word, "spawn") == 0)
        spawn();
    else if (strcmp(word, "exec-in-thread") == 0)
        exec_in_thread();
    else if (strcmp(word, "first-thread-ends") == 0) {
        pthread_create(&thread, NULL, outlives, NULL);
        pthread_exit(NULL);
    } else if (strcmp(word, "daemon") == 0) {
        if (fork() == 0) {
            usleep(3000000);
            _exit(0);
        }
    } else if (strcmp(word, "segv") == 0)
        *(volatile int *)8 = 1;
    else if (strcmp(word, "kill") == 0)
        kill(getpid(), SIGKILL);
    else if (strcmp(word, "abort") == 0)
        abort();
    else if (strcmp(word, "_exit") == 0)
        _exit(0);
    else if (strcmp(word, "wait") == 0)
        sleep(60);
    else if (strcmp(word, "exit3") == 0)
        exit(3);
    else if (strcmp(word, "clear") == 0) {
        char *other[] = {words[0], "leak", NULL};
        unsetenv("LD_PRELOAD");
        execv(words[0], other);
    }
}

int main(int argc, char **argv)
{
    words = argv;
    puts("output of the program");
    fflush(stdout);
    for (int i = 1; i < argc; i++)
        obey(argv[i]);
    return 0;
}
