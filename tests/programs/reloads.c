/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reloads.c - what loads and unloads modules for as long as a server runs:
 *
 *     reloads iconv N          iconv_open, iconv, iconv_close
 *     reloads nss N            a module of the name service, as NSS loads it
 *     reloads pam N FOLDER     pam_start, pam_acct_mgmt, pam_end; the service
 *                              "reloads" in FOLDER
 *
 * Prints "loaded N times" and, for each tenth of the run, the processor time
 * in µs and the resident KiB at its end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <iconv.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- one turn of each kind; false if something is not there --- */

static bool turn_iconv(unsigned long turn)
{
    static const char *const names[] = {"ISO-8859-2", "KOI8-R", "EUC-JP",
                                        "CP1251", "BIG5"};
    char in[] = "text", out[64], *from = in, *to = out;
    size_t left = 4, room = sizeof out;
    iconv_t how = iconv_open("UTF-16", names[turn % 5]);
    bool ok = how != (iconv_t)-1 &&
              iconv(how, &from, &left, &to, &room) != (size_t)-1;

    return ok && iconv_close(how) == 0;
}

static bool turn_nss(unsigned long turn)
{
    typedef int find(const char *, struct passwd *, char *, size_t, int *);
    void *module = dlopen("libnss_compat.so.2", RTLD_LAZY);
    find *by_name = module ? (find *)dlsym(module, "_nss_compat_getpwnam_r")
                           : NULL;
    struct passwd entry;
    char buffer[4096];
    int error;

    (void)turn;
    return by_name &&
           (by_name("root", &entry, buffer, sizeof buffer, &error), true) &&
           dlclose(module) == 0;
}

struct pam_conversation {
    int (*talk)(int, const void **, void **, void *);
    void *data;
};

static struct pam {
    int (*start)(const char *service, const char *user,
                 const struct pam_conversation *, const char *folder,
                 void **handle);
    int (*account)(void *handle, int flags);
    int (*end)(void *handle, int status);
    const char *folder;
} pam;

static int pam_talk(int n, const void **messages, void **answers, void *data)
{
    (void)n;
    (void)messages;
    (void)answers;
    (void)data;
    return 19; /* PAM_CONV_ERR */
}

static bool pam_find(const char *folder)
{
    void *library = dlopen("libpam.so.0", RTLD_NOW);

    if (!library)
        return false;
    *(void **)&pam.start = dlsym(library, "pam_start_confdir");
    *(void **)&pam.account = dlsym(library, "pam_acct_mgmt");
    *(void **)&pam.end = dlsym(library, "pam_end");
    pam.folder = folder;
    return pam.start && pam.account && pam.end;
}

static bool turn_pam(unsigned long turn)
{
    struct pam_conversation conversation = {pam_talk, NULL};
    void *handle = NULL;
    int status;

    (void)turn;
    if (pam.start("reloads", "root", &conversation, pam.folder, &handle))
        return false;
    status = pam.account(handle, 0x8000 /* PAM_SILENT */);
    return pam.end(handle, status) == 0 && status == 0;
}

/* --- */

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident = 0;

    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(1);
    fclose(file);
    return resident * 4;
}

static long processor_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
    bool (*turn)(unsigned long) = strcmp(what, "iconv") == 0 ? turn_iconv
                                  : strcmp(what, "nss") == 0 ? turn_nss
                                  : strcmp(what, "pam") == 0 ? turn_pam
                                                             : NULL;

    if (!turn || n < 10 || (turn == turn_pam && (argc < 4 || !pam_find(argv[3]))))
        return 2;
    for (unsigned long i = 0; i < 10; i++)
        if (!turn(i))
            return 3;
    for (unsigned tenth = 0; tenth < 10; tenth++) {
        long began = processor_us();
        for (unsigned long i = 0; i < n / 10; i++)
            if (!turn(i))
                return 4;
        printf("tenth %ld %ld\n", processor_us() - began, resident_kib());
    }
    printf("loaded %lu times\n", n);
    return 0;
}
