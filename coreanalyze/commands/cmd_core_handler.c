/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_core_handler.c - memtrace core-handler: the kernel's pipe of a core that
 * no one keeps becomes a mini-core.
 *
 * The kernel starts it as root, with the core on standard input and no other
 * descriptor.  What a core says is another user's: it is read by a child with
 * that user's rights, which has two files without names and nothing else.  The
 * parent reads no core; it gives the complete file its name.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/commands/core_keep.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/save/core_stream.h"
#include "coreanalyze/save/save.h"
#include "coreanalyze/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534u
#define USUAL_PATTERN "/var/lib/memtrace/%n.%p.%t"
#define USUAL_KEEP 16
#define USUAL_MOST (UINT64_C(1) << 30)

enum { CRASHED_PID, CRASHED_UID, CRASHED_GID, CRASHED_MODE, N_CRASHED };

struct arguments {
    struct mt_arguments common;
    const char *output;
    uint64_t keep, most;
    uint64_t crashed[N_CRASHED];
    unsigned n;
};

/* What the child found out; the parent does not believe it either. */
struct handled {
    bool ok;
    int signal;
    char name[16];
    uint64_t read_bytes, bytes;
    struct mt_error error;
};

struct handler {
    const struct arguments *a;
    struct mt_core_keep kept;
    uid_t owner; /* of the file */
    int rest, file;
};

/* --- the child --- */

/* The rights of the user whose process crashed.  A core that the kernel keeps
 * from that user, of a setuid program, is nobody's to read. */
static bool handler_drop(const struct handler *h, struct mt_error *error)
{
    bool own = h->a->crashed[CRASHED_MODE] == 1;
    uid_t uid = own ? (uid_t)h->a->crashed[CRASHED_UID] : NOBODY;
    gid_t gid = own ? (gid_t)h->a->crashed[CRASHED_GID] : NOBODY;

    if (geteuid() != 0)
        return true;
    return (fchown(h->rest, uid, gid) == 0 && setgroups(0, NULL) == 0 &&
            setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) ||
           mt_fail(error, "cannot take the rights of user %u: %s",
                   (unsigned)uid, strerror(errno));
}

static bool handler_save(const struct handler *h, uint64_t root,
                         struct handled *result)
{
    struct mt_snapshot_options options = {.known_root = root};
    struct mt_error *error = &result->error;
    struct mt_source *source;
    struct mt_model *model = NULL;
    FILE *file = fdopen(h->file, "w");
    char path[40];
    bool ok;

    if (!file)
        return mt_no_memory(error, "the file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", h->rest);
    source = mt_source_open_core_part(path, error);
    if (source) {
        result->signal = source->process.signal;
        memcpy(result->name, source->process.name, sizeof result->name);
        model = mt_snapshot_take(source, &options, error);
    }
    ok = model &&
         mt_save_stream(model, file, "the mini-core", &result->bytes, error);
    mt_model_free(model);
    mt_source_free(source);
    return ok;
}

static bool handler_read(const struct handler *h, struct handled *result)
{
    struct mt_core_stream stream = {.most = h->a->most};

    if (!handler_drop(h, &result->error) ||
        !mt_core_stream_read(&stream, STDIN_FILENO, h->rest, &result->error))
        return false;
    result->read_bytes = stream.bytes;
    if (stream.root == 0)
        return mt_fail(&result->error,
                       "no trace found in the %llu bytes of its core: it did "
                       "not run on the traced heap, or the core is cut off",
                       (unsigned long long)stream.bytes);
    return handler_save(h, stream.root, result);
}

static void handler_child(const struct handler *h, int out)
{
    struct handled result = {.ok = false};

    result.ok = handler_read(h, &result);
    _exit(write(out, &result, sizeof result) == sizeof result ? 0 : 1);
}

/* --- the parent --- */

static bool handler_run(const struct handler *h, struct handled *result,
                        struct mt_error *error)
{
    int ends[2], status = 0;
    ssize_t got;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return mt_fail(error, "cannot make a pipe: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        close(ends[0]);
        close(h->kept.folder);
        handler_child(h, ends[1]);
    }
    close(ends[1]);
    got = child > 0 ? read(ends[0], result, sizeof *result) : -1;
    close(ends[0]);
    if (child < 0)
        return mt_fail(error, "cannot make a process: %s", strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (got != sizeof *result || status != 0)
        return mt_fail(error, "reading its core ended with status 0x%x",
                       (unsigned)status);
    result->error.text[sizeof result->error.text - 1] = '\0';
    result->name[sizeof result->name - 1] = '\0';
    return result->ok || mt_fail(error, "%s", result->error.text);
}

static bool handler_open(struct handler *h, struct mt_error *error)
{
    const struct arguments *a = h->a;

    h->kept = (struct mt_core_keep){.pattern = a->output, .keep = a->keep};
    h->rest = h->file = -1;
    h->owner = geteuid();
    if (!mt_core_keep_open(&h->kept, error) ||
        (h->rest = mt_core_keep_file(&h->kept, error)) < 0 ||
        (h->file = mt_core_keep_file(&h->kept, error)) < 0)
        return false;
    if (geteuid() != 0 || a->crashed[CRASHED_MODE] != 1)
        return true;
    h->owner = (uid_t)a->crashed[CRASHED_UID];
    return fchown(h->file, h->owner, (gid_t)a->crashed[CRASHED_GID]) == 0 ||
           mt_fail(error, "cannot give a file to user %u: %s",
                   (unsigned)h->owner, strerror(errno));
}

static void handler_say(FILE *out, const char *name, const struct handler *h,
                        const struct handled *result)
{
    if (out == stderr)
        fputs("memtrace: ", out);
    mt_put_text(out, name);
    fputs(": ", out);
    mt_put_bytes(out, result->bytes);
    fputs(" of a core of ", out);
    mt_put_bytes(out, result->read_bytes);
    fprintf(out, ", process %llu (",
            (unsigned long long)h->a->crashed[CRASHED_PID]);
    mt_put_text(out, result->name);
    fprintf(out, "), signal %d\n", result->signal);
    fflush(out);
}

/* The kernel gives a handler its standard input alone: a file that is opened
 * must not become the output, and messages go to the kernel's log. */
static void handler_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open(fd == 2 && access("/dev/kmsg", W_OK) == 0 ? "/dev/kmsg"
                                                           : "/dev/null",
                 fd == 0 ? O_RDONLY : O_WRONLY) < 0)
            _exit(MT_EXIT_ERROR);
    /* Each write is a line of the log. */
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

static bool handler_operand(void *arguments, const struct mt_args *args,
                            struct mt_error *error)
{
    static const char *const names[] = {"PID", "UID", "GID", "MODE"};
    struct arguments *a = arguments;
    char *end;

    if (a->n == N_CRASHED)
        return mt_unexpected("core-handler", args->value, error);
    errno = 0;
    a->crashed[a->n] = strtoull(args->value, &end, 10);
    if (errno != 0 || end == args->value || *end != '\0' ||
        args->value[0] == '-' || a->crashed[a->n] >= UINT32_MAX)
        return mt_fail(error, "core-handler: %s is a number, not '%s'",
                       names[a->n], args->value);
    a->n++;
    return true;
}

/* The first operand is taken for a target. */
static bool handler_first(struct arguments *a, struct mt_error *error)
{
    struct mt_args first = {.value = a->common.target};
    uint64_t rest[N_CRASHED];
    unsigned n = a->n;

    if (!a->common.target || n != N_CRASHED - 1)
        return mt_fail(error, "core-handler: missing PID UID GID MODE (%%P %%u "
                              "%%g %%d in core_pattern)");
    memcpy(rest, a->crashed, sizeof rest);
    a->n = 0;
    if (!handler_operand(a, &first, error))
        return false;
    memcpy(a->crashed + 1, rest, n * sizeof *rest);
    return true;
}

static const struct mt_option options[] = {
    {"--output", 'o', "PATTERN",
     "the files: %n is the process' name, %p its id, %t the time "
     "(default: " USUAL_PATTERN "; in core_pattern, write %% for %)",
     MT_FIELD(mt_parse_text, const char *, output)},
    {"--keep", 0, "N",
     "keep the newest N files of each user (default: 16; 0: all)",
     MT_FIELD(mt_parse_count, uint64_t, keep)},
    {"--most", 0, "BYTES",
     "keep no trace that takes more than this (default: 1G)",
     MT_FIELD(mt_parse_bytes, uint64_t, most)},
    {0},
};

static int handler_main(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    struct arguments a = {
        .output = USUAL_PATTERN, .keep = USUAL_KEEP, .most = USUAL_MOST};
    struct handler h = {.a = &a};
    struct handled result = {.ok = false};
    const struct rlimit none = {0, 0};
    struct mt_error why = {0};
    char *name = NULL;
    int status;

    handler_descriptors();
    if (!mt_arguments_read(session, &mt_command_core_handler, argc, argv, &a,
                           &status, error))
        return status;
    if (!handler_first(&a, error))
        return MT_EXIT_ERROR;
    setrlimit(RLIMIT_CORE, &none); /* a handler's own core has no handler */
    umask(077);
    if (handler_open(&h, &why) && handler_run(&h, &result, &why))
        name = mt_core_keep_name(&h.kept, h.file, h.owner,
                                 (uint32_t)a.crashed[CRASHED_PID], result.name,
                                 &why);
    if (name)
        handler_say(isatty(STDERR_FILENO) || session->out != stdout
                        ? session->out
                        : stderr,
                    name, &h, &result);
    else
        mt_fail(error, "core-handler: nothing is kept of process %llu: %s",
                (unsigned long long)a.crashed[CRASHED_PID], why.text);
    free(name);
    mt_core_keep_close(&h.kept);
    return name ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_core_handler = {
    .name = "core-handler",
    .operands = "PID UID GID MODE",
    .summary = "Keep a mini-core of each process that crashes.",
    .details =
        "For /proc/sys/kernel/core_pattern, where no one keeps cores:\n"
        "\n"
        "  |/usr/bin/memtrace core-handler %P %u %g %d\n"
        "\n"
        "Reads the core on standard input once, and writes a file as save\n"
        "does: the trace, without the program's data.  It takes the memory of\n"
        "the trace, not of the process.  The file has mode 0600 and belongs\n"
        "to the user of the process; of a setuid program (MODE is not 1), to\n"
        "root.  The core is read with that user's rights.  What it did goes\n"
        "to the kernel's log.\n",
    .options = options,
    .operand = handler_operand,
    .run = handler_main,
};
