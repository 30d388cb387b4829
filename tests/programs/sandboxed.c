/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sandboxed KIND: enters a sandbox of seccomp and allocates after that; prints
 * "worked".  The kinds:
 *     strict      read(), write() and exit() alone
 *     filter      the calls that the C library's malloc makes; any other kills
 *     syscall     the same, by syscall() instead of prctl()
 *     thread      a thread that has a filter; the others have none
 *     threads     a filter, and threads that are made after it
 *     refused     a filter that the kernel refuses
 *     syscalls    no sandbox: results and errors of syscall() itself
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int calls[] = {
    SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_brk, SYS_mmap,
    SYS_munmap, SYS_mremap, SYS_mprotect, SYS_futex,
    /* those of threads: */
    SYS_clone, 435 /* clone3 */, 334 /* rseq */, SYS_set_robust_list,
    SYS_rt_sigprocmask, SYS_madvise, SYS_rt_sigaction, SYS_openat, SYS_read,
    SYS_close};
#define CALLS_OF_MALLOC 10
#define N_CALLS ((int)(sizeof calls / sizeof *calls))

static int enter_filter(int n_calls, bool by_syscall)
{
    struct sock_filter f[2 * N_CALLS + 2];
    unsigned short n = 0;
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                          offsetof(struct seccomp_data, nr));
    for (int i = 0; i < n_calls; i++) {
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                              (unsigned)calls[i], 0, 1);
        f[n++] =
            (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    f[n++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {n_calls ? n : 0, f};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (by_syscall)
        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static __attribute__((noinline)) void *deep(int n, size_t bytes)
{
    volatile char pad[600];
    pad[0] = (char)n;
    void *p = n ? deep(n - 1, bytes) : malloc(bytes);
    pad[1] = pad[0];
    return p;
}

/* Many sizes and depths; `most` is below what glibc has without the kernel. */
static void work(size_t most)
{
    static __thread void *p[300];
    for (size_t i = 0; i < 300; i++) {
        p[i] = deep((int)(i % 30), i * most / 300);
        if (!p[i])
            _exit(5);
        memset(p[i], 1, i * most / 300);
    }
    for (size_t i = 0; i < 300; i += 2)
        p[i] = realloc(p[i], i * most / 200);
    for (size_t i = 0; i < 300; i++)
        free(p[i]);
}

static void finish(void)
{
    static const char text[] = "worked\n";
    if (write(1, text, sizeof text - 1) < 0)
        syscall(SYS_exit, 3);
    syscall(SYS_exit_group, 0);
}

static void *in_thread(void *most)
{
    work((size_t)(uintptr_t)most);
    return NULL;
}

static void *sandboxed_thread(void *unused)
{
    (void)unused;
    if (enter_filter(N_CALLS, false) != 0)
        _exit(4);
    work(100000);
    return NULL;
}

static void run_threads(void *(*run)(void *), int n)
{
    pthread_t threads[8];
    for (int i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)20000) != 0)
            _exit(6);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static int syscalls(void)
{
    char *map = (char *)syscall(SYS_mmap, NULL, 4096L, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1L, 0L);
    if (map == MAP_FAILED || map[4095])
        return 11;
    errno = 0;
    if (syscall(SYS_close, 12345) != -1 || errno != EBADF)
        return 12;
    if (syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_PRIVATE, -1L, 0L) != -1 ||
        errno != EBADF)
        return 13;
    long pid = syscall(SYS_fork);
    if (pid == 0)
        _exit(77);
    int status;
    if (waitpid((pid_t)pid, &status, 0) != pid || WEXITSTATUS(status) != 77)
        return 14;
    if (syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) != 0 ||
        prctl(PR_GET_DUMPABLE) < 0 || prctl(12345) != -1 || errno != EINVAL)
        return 15;
    return 0;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    free(malloc(1000));
    if (strcmp(kind, "strict") == 0) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        work(200);
        static const char text[] = "worked\n";
        syscall(SYS_exit, write(1, text, sizeof text - 1) < 0);
    } else if (strcmp(kind, "filter") == 0) {
        if (enter_filter(CALLS_OF_MALLOC, false) != 0)
            return 2;
        work(200000);
    } else if (strcmp(kind, "syscall") == 0) {
        if (enter_filter(CALLS_OF_MALLOC, true) != 0)
            return 2;
        work(200000);
    } else if (strcmp(kind, "thread") == 0) {
        run_threads(sandboxed_thread, 2);
        work(200000);
        run_threads(in_thread, 4);
    } else if (strcmp(kind, "threads") == 0) {
        if (enter_filter(N_CALLS, false) != 0)
            return 2;
        run_threads(in_thread, 8);
        work(200000);
    } else if (strcmp(kind, "refused") == 0) {
        if (enter_filter(0, false) == 0 || enter_filter(0, true) == 0)
            return 2;
        work(200000);
    } else {
        int status = strcmp(kind, "syscalls") == 0 ? syscalls() : 2;
        if (status)
            return status;
    }
    finish();
    return 1;
}
