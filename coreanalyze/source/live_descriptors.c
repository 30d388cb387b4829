/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_descriptors.c - descriptors of a process that hold words of its own: an
 * epoll, a pipe of which it has both ends, a Unix socket that is connected to
 * itself, and a message queue that notifies it; and those that say that it
 * fills memory when it is touched.  A thread may have descriptors of its own.
 *
 * What waits in a pipe or a socket is looked at through a copy of the
 * descriptor, and stays there.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/proc_task.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define MQUEUE_MAGIC 0x19800202
#define MOST_COPIES 256u               /* of descriptors, at once */
#define MOST_SOCKETS 4096u             /* that are looked at */
#define MOST_BYTES (UINT32_C(1) << 20) /* of one pipe or socket */

struct end {
    uint64_t inode; /* first */
    uint32_t descriptor;
    pid_t tid;
    bool reads, writes, socket;
};

struct search {
    struct live *live;
    pid_t tid; /* whose descriptors they are */
    struct end *ends;
    size_t n_ends, capacity, polls_capacity;
    bool out_of_memory;
};

/* --- to find them --- */

static bool files_differ(pid_t a, pid_t b)
{
    return syscall(SYS_kcmp, a, b, KCMP_FILES, 0, 0) > 0;
}

static void search_add_poll(struct search *s, uint32_t descriptor)
{
    struct live *live = s->live;

    if (mt_grow(&live->polls, &s->polls_capacity, live->n_polls + 1,
                sizeof *live->polls))
        live->polls[live->n_polls++] = (struct mt_poll){s->tid, descriptor};
    else
        s->out_of_memory = true;
}

static void search_add_end(struct search *s, const struct end *end)
{
    if (mt_grow(&s->ends, &s->capacity, s->n_ends + 1, sizeof *s->ends))
        s->ends[s->n_ends++] = *end;
    else
        s->out_of_memory = true;
}

/* The file of a message queue says whom it will notify, but not of the value
 * that the signal will have. */
static bool is_notified(const struct search *s, const char *path)
{
    struct statfs about;
    char text[256], *place;
    int kind = -1, pid = 0;
    ssize_t n = -1;
    int file = statfs(path, &about) == 0 && about.f_type == MQUEUE_MAGIC
                   ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                   : -1;

    if (file >= 0) {
        n = read(file, text, sizeof text - 1);
        close(file);
    }
    if (n <= 0)
        return false;
    text[n] = '\0';
    place = strstr(text, "NOTIFY:");
    if (place)
        sscanf(place, "NOTIFY:%d", &kind);
    place = strstr(text, "NOTIFY_PID:");
    if (place)
        sscanf(place, "NOTIFY_PID:%d", &pid);
    return pid == s->live->pid && kind == 0;
}

static void search_take(struct search *s, int folder, const char *name)
{
    struct end end = {.descriptor = (uint32_t)strtoul(name, NULL, 10),
                      .tid = s->tid};
    char target[64], path[96];
    ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
    struct stat about;

    if (n <= 0)
        return;
    target[n] = '\0';
    end.socket = sscanf(target, "socket:[%" SCNu64, &end.inode) == 1;
    if (strcmp(target, "anon_inode:[eventpoll]") == 0) {
        search_add_poll(s, end.descriptor);
    } else if (strcmp(target, "anon_inode:[userfaultfd]") == 0) {
        s->live->fills = true;
    } else if (end.socket ||
               sscanf(target, "pipe:[%" SCNu64, &end.inode) == 1) {
        if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            return;
        end.reads = about.st_mode & S_IRUSR;
        end.writes = about.st_mode & S_IWUSR;
        search_add_end(s, &end);
    } else if (target[0] == '/' && !strchr(target + 1, '/')) {
        snprintf(path, sizeof path, "/proc/%d/fd/%" PRIu32, (int)s->tid,
                 end.descriptor);
        s->live->source.coverage.notifications += is_notified(s, path);
    }
}

static void search_descriptors(struct search *s, pid_t tid)
{
    const struct dirent *entry;
    char path[64];
    DIR *folder;

    s->tid = tid;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)tid);
    folder = opendir(path);
    while (folder && !s->out_of_memory && (entry = readdir(folder)))
        if (isdigit((unsigned char)entry->d_name[0]))
            search_take(s, dirfd(folder), entry->d_name);
    if (folder)
        closedir(folder);
}

/* --- copies of descriptors --- */

static int end_by_inode(const void *a, const void *b)
{
    const struct end *x = a, *y = b;

    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* Is it a Unix socket that the process has connected itself? */
static bool is_own_socket(const struct live *live, int copy)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    int domain = 0;
    socklen_t domain_bytes = sizeof domain;

    return getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) ==
               0 &&
           domain == AF_UNIX &&
           getsockopt(copy, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           peer.pid == live->pid;
}

static void keep_copy(struct live *live, int *process, const struct end *end)
{
    uint32_t *unseen = &live->source.coverage.queues_unseen;
    int copy = -1;

    if (end->tid == live->pid && live->n_queues < MOST_COPIES) {
        if (*process < 0)
            *process = (int)syscall(SYS_pidfd_open, live->pid, 0);
        copy = (int)syscall(SYS_pidfd_getfd, *process, end->descriptor, 0);
    }

    if (copy >= 0 && end->socket && !is_own_socket(live, copy)) {
        close(copy);
        return;
    }
    if (copy >= 0)
        live->queues[live->n_queues++] =
            (struct mt_queue){copy, end->descriptor, end->socket};
    else if (!end->socket)
        ++*unseen;
}

/* Of a pipe, one end that is read from, if there is one that is written to. */
static void keep_copies(struct search *s)
{
    struct live *live = s->live;
    int process = -1;
    size_t sockets = 0;

    live->queues = calloc(MOST_COPIES, sizeof *live->queues);
    s->out_of_memory |= !live->queues;
    if (s->n_ends > 0)
        qsort(s->ends, s->n_ends, sizeof *s->ends, end_by_inode);
    for (size_t i = 0, next; i < s->n_ends && live->queues; i = next) {
        const struct end *reader = NULL;
        bool written = false;
        for (next = i;
             next < s->n_ends && s->ends[next].inode == s->ends[i].inode;
             next++) {
            written |= s->ends[next].writes;
            if (s->ends[next].reads && (!reader || reader->tid != live->pid))
                reader = &s->ends[next];
        }
        if (reader && written && (!reader->socket || sockets++ < MOST_SOCKETS))
            keep_copy(live, &process, reader);
    }
    if (process >= 0)
        close(process);
}

void mt_live_close_queues(struct live *live)
{
    for (size_t i = 0; i < live->n_queues; i++)
        close(live->queues[i].copy);
    free(live->queues);
    live->queues = NULL;
    live->n_queues = 0;
}

bool mt_live_find_descriptors(struct live *live)
{
    const struct mt_source *source = &live->source;
    struct search s = {.live = live};

    free(live->polls);
    live->polls = NULL;
    live->n_polls = 0;
    live->fills = false;
    live->source.coverage.notifications = 0;
    live->source.coverage.queues_unseen = 0;
    mt_live_close_queues(live);
    search_descriptors(&s, live->tid);
    for (size_t i = 0; i < source->n_threads; i++) {
        pid_t tid = (pid_t)source->threads[i].tid;
        if (tid != live->tid && files_differ(tid, live->tid))
            search_descriptors(&s, tid);
    }
    if (!s.out_of_memory)
        keep_copies(&s);
    free(s.ends);
    return !s.out_of_memory;
}

/* --- what waits in them --- */

/* What is in the pipe goes into one of ours, too. */
static ssize_t peek_pipe(int pipe_end, void *bytes, size_t n)
{
    int ends[2], room = fcntl(pipe_end, F_GETPIPE_SZ);
    ssize_t got = -1, more;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    if (room > 0)
        fcntl(ends[0], F_SETPIPE_SZ, room);
    if (tee(pipe_end, ends[1], n, SPLICE_F_NONBLOCK) > 0)
        for (got = 0; (size_t)got < n; got += more) {
            more = read(ends[0], (char *)bytes + got, n - (size_t)got);
            if (more <= 0)
                break;
        }
    close(ends[0]);
    close(ends[1]);
    return got;
}

/* Addresses may lie at any place there. */
static bool take_addresses(struct live *live, const struct mt_queue *queue,
                           const uint8_t *bytes, size_t n)
{
    struct mt_kernel_word word = {.kind = MT_KERNEL_QUEUE,
                                  .id = queue->descriptor};
    bool ok = true;

    for (size_t i = 0; ok && n >= 8 && i <= n - 8; i++) {
        const struct mt_mapping *m;
        memcpy(&word.value, bytes + i, sizeof word.value);
        if (word.value >> 47 || word.value < 4096)
            continue;
        m = mt_source_mapping(&live->source, word.value);
        if (m && (m->flags & MT_MAP_WRITE))
            ok = mt_live_add_word(live, &word);
    }
    return ok;
}

static bool look_into(struct live *live, const struct mt_queue *queue)
{
    int waiting = 0, type = 0;
    socklen_t type_bytes = sizeof type;
    ssize_t got = -1;
    size_t n;
    uint8_t *bytes;
    bool ok;

    if (ioctl(queue->copy, FIONREAD, &waiting) != 0 || waiting <= 0)
        return true;
    n = (size_t)waiting < MOST_BYTES ? (size_t)waiting : MOST_BYTES;
    bytes = malloc(n);
    if (!bytes)
        return false;
    if (!queue->socket)
        got = peek_pipe(queue->copy, bytes, n);
    else
        got = recv(queue->copy, bytes, n, MSG_PEEK | MSG_DONTWAIT);
    /* Datagrams are counted one by one. */
    if (queue->socket)
        getsockopt(queue->copy, SOL_SOCKET, SO_TYPE, &type, &type_bytes);
    if (got < waiting || type == SOCK_DGRAM)
        live->source.coverage.queues_unseen++;
    ok = got <= 0 || take_addresses(live, queue, bytes, (size_t)got);
    free(bytes);
    return ok;
}

bool mt_live_queue_words(struct live *live)
{
    bool ok = true;

    for (size_t i = 0; ok && i < live->n_queues; i++)
        ok = look_into(live, &live->queues[i]);
    mt_live_close_queues(live);
    return ok;
}
