/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_file.c - opening a core that may be compressed, as systemd-coredump
 * stores them: zstd, xz or lz4.  The contents go to a temporary file without a
 * name, so that nothing is left when the process ends.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/base/memory.h"
#include "heap/corenote.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#define CHUNK (1u << 20)
#define MOST_BYTES (UINT64_C(1) << 47)
#define KEPT_FREE 20u /* the part of a disk that stays free: 1 in 20 */

/* Runs of zeros become holes: a core is full of them. */
struct output {
    int file;
    off_t size;
    off_t limit; /* what the headers of the core promise; 0: not known yet */
    bool damaged;
    struct mt_error *error;
};

static bool core_file_write_all(struct output *out, const uint8_t *data,
                                size_t bytes)
{
    while (bytes > 0) {
        size_t n = bytes < 4096 ? bytes : 4096;
        if (data[0] != 0 || memcmp(data, data + 1, n - 1) != 0) {
            ssize_t put = pwrite(out->file, data, n, out->size);
            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                return mt_fail(out->error, "cannot write a temporary file: %s",
                               strerror(put < 0 ? errno : ENOSPC));
            n = (size_t)put;
        }
        out->size += (off_t)n;
        data += n;
        bytes -= n;
    }
    return true;
}

/* The end of what a core's headers name, once they have been written.  A file
 * of a few bytes may promise terabytes. */
static void find_limit(struct output *out, const Elf64_Ehdr *header)
{
    uint64_t n = header->e_phnum, table = n * sizeof(Elf64_Phdr), end;
    Elf64_Phdr program;

    if (header->e_phoff > (uint64_t)out->size ||
        table > (uint64_t)out->size - header->e_phoff)
        return;
    end = header->e_phoff + table;
    if (header->e_shoff < MOST_BYTES &&
        end < header->e_shoff + (uint64_t)header->e_shnum * sizeof(Elf64_Shdr))
        end = header->e_shoff + (uint64_t)header->e_shnum * sizeof(Elf64_Shdr);
    for (uint64_t i = 0; n < PN_XNUM && i < n; i++) {
        if (pread(out->file, &program, sizeof program,
                  (off_t)(header->e_phoff + i * sizeof program)) !=
            sizeof program)
            return;
        if (program.p_filesz < MOST_BYTES && program.p_offset < MOST_BYTES &&
            end < program.p_offset + program.p_filesz)
            end = program.p_offset + program.p_filesz;
    }
    out->limit = n < PN_XNUM ? (off_t)end : (off_t)MOST_BYTES;
}

/* Looks at what has been written so far: false if it is not worth more. */
static bool is_worth_more(struct output *out)
{
    Elf64_Ehdr header;
    struct statvfs room;

    if (out->limit == 0 && out->size >= (off_t)sizeof header) {
        if (pread(out->file, &header, sizeof header, 0) != sizeof header ||
            memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            header.e_type != ET_CORE)
            return mt_fail(out->error, "what it holds is not a core");
        find_limit(out, &header);
    }
    if (fstatvfs(out->file, &room) == 0 &&
        room.f_bavail < room.f_blocks / KEPT_FREE)
        return mt_fail(out->error,
                       "less than 5 %% of the file system for temporary files "
                       "are free; set TMPDIR");
    return true;
}

/* One step of a decompressor: takes from in, gives to out.  Sets `done` at the
 * end of the stream.  False when the data is damaged. */
struct decompressor {
    const char *name;
    bool (*step)(void *state, const uint8_t *in, size_t *in_bytes, uint8_t *out,
                 size_t *out_bytes, bool *done);
    void *state;
};

static bool step_zstd(void *state, const uint8_t *in, size_t *in_bytes,
                      uint8_t *out, size_t *out_bytes, bool *done)
{
    ZSTD_inBuffer from = {in, *in_bytes, 0};
    ZSTD_outBuffer to = {out, *out_bytes, 0};
    size_t result = ZSTD_decompressStream(state, &to, &from);

    *in_bytes = from.pos;
    *out_bytes = to.pos;
    *done = result == 0;
    return !ZSTD_isError(result);
}

static bool step_lz4(void *state, const uint8_t *in, size_t *in_bytes,
                     uint8_t *out, size_t *out_bytes, bool *done)
{
    size_t result = LZ4F_decompress(state, out, out_bytes, in, in_bytes, NULL);

    *done = result == 0;
    return !LZ4F_isError(result);
}

static bool step_xz(void *state, const uint8_t *in, size_t *in_bytes,
                    uint8_t *out, size_t *out_bytes, bool *done)
{
    lzma_stream *stream = state;
    lzma_ret result;

    stream->next_in = in;
    stream->avail_in = *in_bytes;
    stream->next_out = out;
    stream->avail_out = *out_bytes;
    result = lzma_code(stream, LZMA_RUN);
    *in_bytes -= stream->avail_in;
    *out_bytes -= stream->avail_out;
    *done = result == LZMA_STREAM_END;
    return result == LZMA_OK || result == LZMA_STREAM_END ||
           result == LZMA_BUF_ERROR;
}

/* Stops quietly at the end of the input: a cut-off file gives a cut-off core,
 * and the reader counts what it lacks. */
static bool core_file_decompress(int file, const struct decompressor *d,
                                 uint8_t *in, uint8_t *out,
                                 struct output *output)
{
    bool done = false, whole;
    size_t beyond = 0;
    ssize_t got;

    while ((got = read(file, in, CHUNK)) > 0) {
        size_t at = 0, gave = 0;
        while (at < (size_t)got || gave == CHUNK) {
            size_t took = (size_t)got - at;
            gave = CHUNK;
            if (!d->step(d->state, in + at, &took, out, &gave, &done)) {
                if (output->size == 0)
                    return mt_fail(output->error, "its %s data is damaged",
                                   d->name);
                output->damaged = true;
                return true;
            }
            /* A checksum may follow, or any amount of data. */
            whole = output->limit > 0 && output->size >= output->limit;
            beyond += whole ? gave : 0;
            if (beyond > CHUNK)
                return true;
            if (!whole && (!core_file_write_all(output, out, gave) ||
                           !is_worth_more(output)))
                return false;
            at += took;
            if (done && output->limit > 0 && output->size >= output->limit)
                return true;
            if (took == 0 && gave == 0)
                break;
        }
    }
    return true;
}

static int temporary_file(struct mt_error *error)
{
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[4096];
        int file;
        if (folders[i] == NULL || folders[i][0] == '\0')
            continue;
        file = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (file >= 0)
            return file;
        /* A file system without O_TMPFILE. */
        if (snprintf(path, sizeof path, "%s/memtrace-XXXXXX", folders[i]) >=
            (int)sizeof path)
            continue;
        file = mkostemp(path, O_CLOEXEC);
        if (file >= 0) {
            unlink(path);
            return file;
        }
    }
    mt_fail(error, "cannot make a temporary file: %s; set TMPDIR",
            strerror(errno));
    return -1;
}

static bool run_decompressor(int file, const uint8_t magic[4],
                             struct output *output)
{
    lzma_stream xz = LZMA_STREAM_INIT;
    ZSTD_DStream *zstd = NULL;
    LZ4F_dctx *lz4 = NULL;
    struct decompressor d = {0};
    uint8_t *in = malloc(CHUNK), *out = malloc(CHUNK);
    bool ok = false;

    if (magic[0] == 0x28) {
        d = (struct decompressor){"zstd", step_zstd,
                                  zstd = ZSTD_createDStream()};
    } else if (magic[0] == 0x04) {
        if (!LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)))
            d = (struct decompressor){"lz4", step_lz4, lz4};
    } else if (lzma_stream_decoder(&xz, UINT64_C(1) << 30, 0) == LZMA_OK) {
        d = (struct decompressor){"xz", step_xz, &xz};
    }
    if (in && out && d.state)
        ok = core_file_decompress(file, &d, in, out, output);
    else
        mt_no_memory(output->error, "decompression");
    ZSTD_freeDStream(zstd);
    LZ4F_freeDecompressionContext(lz4);
    lzma_end(&xz);
    free(in);
    free(out);
    return ok;
}

static int core_file_decompressed(int file, const uint8_t magic[4],
                                  bool *damaged, struct mt_error *error)
{
    struct output output = {.file = temporary_file(error), .error = error};

    if (output.file < 0)
        return -1;
    if (run_decompressor(file, magic, &output)) {
        *damaged = output.damaged;
        if (output.size < (off_t)sizeof(Elf64_Ehdr))
            mt_fail(error, "it is cut off, or empty");
        else if (ftruncate(output.file, output.size) == 0)
            return output.file;
        else
            mt_fail(error, "cannot write a temporary file: %s",
                    strerror(errno));
    }
    close(output.file);
    return -1;
}

int mt_core_open_file(const char *path, bool *damaged, struct mt_error *error)
{
    static const uint8_t magics[][4] = {{0x28, 0xb5, 0x2f, 0xfd},
                                        {0xfd, '7', 'z', 'X'},
                                        {0x04, 0x22, 0x4d, 0x18}};
    uint8_t magic[4] = {0};
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0) {
        mt_fail(error, "cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        pread(file, magic, 4, 0) == 4) {
        for (size_t i = 0; i < 3; i++) {
            if (memcmp(magic, magics[i], 4) != 0)
                continue;
            struct mt_error inner = {0};
            int plain = core_file_decompressed(file, magic, damaged, &inner);
            if (plain < 0)
                mt_fail(error, "cannot decompress %s: %s", path, inner.text);
            close(file);
            return plain;
        }
    }
    return file;
}

bool mt_file_is_box(int file)
{
    unsigned char ident[EI_NIDENT];

    return pread(file, ident, sizeof ident, 0) == (ssize_t)sizeof ident &&
           memcmp(ident, ELFMAG, SELFMAG) == 0 &&
           memcmp(ident + EI_PAD, MT_BOX_MARK, sizeof MT_BOX_MARK - 1) == 0;
}

/* The lock of a process is exclusive, and lasts as long as its mapping. That of
 * a reader leaves other readers theirs. */
enum mt_box_use mt_box_use(int file)
{
    if (flock(file, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? MT_BOX_IN_USE : MT_BOX_USE_UNKNOWN;
    flock(file, LOCK_UN);
    return MT_BOX_LEFT;
}

/* --- reading --- */

bool mt_core_read(const struct core *core, uint64_t offset, void *buffer,
                  size_t *bytes)
{
    size_t done = 0;

    if (core->data) {
        memcpy(buffer, core->data + offset, *bytes);
        return true;
    }
    while (done < *bytes) {
        ssize_t got = pread(core->file, (char *)buffer + done, *bytes - done,
                            (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done == *bytes)
        return true;
    *bytes = done;
    return false;
}

const uint8_t *mt_core_piece(struct core *core, uint64_t offset, uint64_t bytes)
{
    size_t n = (size_t)bytes;
    void *piece;

    if (core->data)
        return core->data + offset;
    if (!mt_grow(&core->pieces, &core->pieces_capacity, core->n_pieces + 1,
                 sizeof *core->pieces))
        return NULL;
    piece = malloc(n + 1);
    if (piece == NULL || !mt_core_read(core, offset, piece, &n)) {
        free(piece);
        return NULL;
    }
    return core->pieces[core->n_pieces++] = piece;
}
