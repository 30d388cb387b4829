/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_screen.c - top in a terminal: draws a view, waits for keys and for the
 * next refresh.  It is part of the command and not of the library, so that
 * nothing else needs ncurses.
 *
 * Text of the target comes here as checked UTF-8.  A character is drawn if the
 * locale calls it printable and it takes columns; others are question marks, so
 * that no name can move the cursor or the direction of text.
 */
#define NCURSES_WIDECHAR 1
#include "coreanalyze/base/text.h"
#include "coreanalyze/top/top_figures.h"
#include "coreanalyze/top/top_keys.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define SCREEN_ESCAPE_MS 50
#define SCREEN_INPUT 80

struct screen {
    struct mt_top top;
    struct mt_top_options options;
    struct mt_top_view view;
    struct mt_top_cursor cursor;
    struct mt_error *error;
    bool wide; /* the locale has UTF-8 */
    bool lost; /* the terminal is gone */
};

/* --- drawing --- */

static wchar_t screen_character(const struct screen *s, const char *text,
                                size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3f);
    if (n > 1 && (!s->wide || wcwidth((wchar_t)code) <= 0))
        return L'?';
    return n == 1 && (code < 0x20 || code > 0x7e) ? L'?' : (wchar_t)code;
}

/* A line of the screen, cut at its width; the rest of it is blank. */
static void screen_put(const struct screen *s, int y, const char *text,
                       attr_t look)
{
    int x = 0;

    attrset((int)look);
    move(y, 0);
    while (*text && x < COLS) {
        size_t n = mt_utf8_length(text);
        wchar_t c = n ? screen_character(s, text, n) : L'?';
        int width = c < 0x80 ? 1 : wcwidth(c);
        if (x + width > COLS)
            break;
        if (c < 0x80)
            addch((chtype)c);
        else
            addnwstr(&c, 1);
        x += width;
        text += n ? n : 1;
    }
    for (; x < COLS && look & A_REVERSE; x++)
        addch(' ');
    attrset(0);
}

static attr_t screen_look(enum mt_top_look look)
{
    static const attr_t looks[] = {[MT_LOOK_PLAIN] = A_NORMAL,
                                   [MT_LOOK_TITLE] = A_BOLD,
                                   [MT_LOOK_HEAD] = A_REVERSE,
                                   [MT_LOOK_WARNING] = A_BOLD};

    return looks[look];
}

static void screen_put_footer(const struct screen *s)
{
    const char *keys =
        "q quit  ? help  Enter callers  / filter  b baseline  l c n a o order";

    screen_put(s, LINES - 1, s->cursor.message[0] ? s->cursor.message : keys,
               s->cursor.message[0] ? A_BOLD : A_DIM);
}

/* The header has as many lines as it needs, and the page what is left. */
static bool screen_draw(struct screen *s)
{
    struct mt_top_lines lines;
    size_t fixed;
    int y = 0;
    bool ok;

    if (!mt_top_lines_begin(&lines))
        return mt_no_memory(s->error, "the screen");
    s->options.style.width = (unsigned)COLS;
    mt_top_view_put_header(&s->view, &lines);
    fixed = lines.n + 2; /* names of columns, and the last line */
    if (s->view.page == MT_PAGE_PROCESSES)
        fixed++;
    s->view.most = (size_t)LINES > fixed ? (size_t)LINES - fixed : 1;
    mt_top_follow_cursor(&s->view, &s->cursor);
    mt_top_view_put_page(&s->view, &lines);
    ok = mt_top_lines_close(&lines) || mt_no_memory(s->error, "the screen");
    erase();
    s->cursor.item = MT_TOP_NO_ITEM;
    for (size_t i = 0, row = s->view.first; ok && i < lines.n; i++) {
        const struct mt_top_line *line = &lines.lines[i];
        attr_t look = screen_look(line->look);
        if (line->item != MT_TOP_NO_ITEM && row++ == s->cursor.row) {
            s->cursor.item = line->item;
            look |= A_REVERSE;
        }
        if (y < LINES - 1)
            screen_put(s, y++, mt_top_line_text(&lines, i), look);
    }
    screen_put_footer(s);
    refresh();
    mt_top_lines_free(&lines);
    return ok;
}

/* --- keys --- */

static int screen_key_of(int key)
{
    switch (key) {
    case KEY_UP:
    case 'k':
        return MT_KEY_UP;
    case KEY_DOWN:
    case 'j':
        return MT_KEY_DOWN;
    case KEY_PPAGE:
        return MT_KEY_PAGE_UP;
    case KEY_NPAGE:
        return MT_KEY_PAGE_DOWN;
    case KEY_HOME:
        return MT_KEY_HOME;
    case KEY_END:
        return MT_KEY_END;
    case '\r':
    case '\n':
    case KEY_ENTER:
    case KEY_RIGHT:
        return MT_KEY_ENTER;
    case 27:
    case KEY_BACKSPACE:
    case 127:
    case '\b':
    case KEY_LEFT:
        return MT_KEY_BACK;
    default:
        return key < 0x100 ? key : 0;
    }
}

/* The next key, KEY_RESIZE too; ERR after `ns` without one. */
static int screen_wait(struct screen *s, uint64_t ns)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int key = getch();

    if (key != ERR)
        return key;
    if (poll(&input, 1,
             ns / 1000000 > 3600000 ? 3600000 : (int)(ns / 1000000)) > 0 &&
        !(input.revents & POLLIN))
        s->lost = true;
    key = getch();
    /* Readable without a key: the terminal is closed. */
    if (key == ERR && input.revents & POLLIN) {
        int left = 0;
        char byte;
        left = (int)read(STDIN_FILENO, &byte, 1);
        if (left == 1)
            ungetch((unsigned char)byte);
        s->lost |= left == 0 || (left < 0 && errno != EAGAIN && errno != EINTR);
    }
    return key;
}

/* Waits for one key, however long. */
static int screen_ask(struct screen *s)
{
    int key = ERR;

    while (key == ERR && !s->lost)
        key = screen_wait(s, UINT64_C(1000000000));
    return key;
}

/* --- texts, questions --- */

/* Shows lines until a key closes them. */
static void screen_pager(struct screen *s, const char *title,
                         const struct mt_top_lines *lines)
{
    size_t first = 0, rows, most;
    int key = 0;

    while (key != MT_KEY_BACK && key != 'q' && !s->lost) {
        rows = LINES > 3 ? (size_t)LINES - 2 : 1;
        most = lines->n > rows ? lines->n - rows : 0;
        first = first < most ? first : most;
        erase();
        screen_put(s, 0, title, A_REVERSE);
        for (size_t i = 0; i < rows && first + i < lines->n; i++)
            screen_put(s, (int)i + 1, mt_top_line_text(lines, first + i), 0);
        screen_put(s, LINES - 1, "Esc or q back  Up Down PgUp PgDn scroll",
                   A_DIM);
        refresh();
        key = screen_key_of(screen_ask(s));
        if (key == MT_KEY_UP && first > 0)
            first--;
        if (key == MT_KEY_DOWN)
            first++;
        if (key == MT_KEY_PAGE_UP)
            first = first > rows ? first - rows : 0;
        if (key == MT_KEY_PAGE_DOWN || key == ' ')
            first += rows;
        if (key == MT_KEY_HOME)
            first = 0;
        if (key == MT_KEY_END)
            first = most;
    }
}

static bool screen_show_text(struct screen *s, const char *title,
                             const char *text)
{
    struct mt_top_lines lines;

    if (!mt_top_lines_begin(&lines))
        return mt_no_memory(s->error, "the screen");
    mt_top_lines_add(&lines, text, MT_LOOK_PLAIN);
    if (mt_top_lines_close(&lines))
        screen_pager(s, title, &lines);
    mt_top_lines_free(&lines);
    return true;
}

/* Reads a text on the last line; false if it was given up. */
static bool screen_input(struct screen *s, const char *prompt,
                         char text[SCREEN_INPUT])
{
    size_t n = strlen(text);
    char line[SCREEN_INPUT + 64];
    int key = 0;

    while (!s->lost) {
        snprintf(line, sizeof line, "%s%s_", prompt, text);
        move(LINES - 1, 0);
        clrtoeol();
        screen_put(s, LINES - 1, line, A_BOLD);
        refresh();
        key = screen_ask(s);
        if (key == '\r' || key == '\n' || key == KEY_ENTER)
            return true;
        if (key == 27)
            return false;
        if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && n > 0)
            text[--n] = '\0';
        else if (key >= 0x20 && key < 0x100 && key != 127 &&
                 n + 1 < SCREEN_INPUT) {
            text[n++] = (char)key;
            text[n] = '\0';
        }
    }
    return false;
}

/* --- other commands --- */

/* Runs another command and shows what it printed, or why it failed. */
static bool screen_run(struct screen *s, const char *title,
                       const char *const *argv)
{
    struct mt_error error = {0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    bool ok;

    if (!out)
        return mt_no_memory(s->error, "the screen");
    ok = s->options.run(s->options.context, argv, out, &error);
    if (!ok)
        fprintf(out, "%s\n", error.text);
    fclose(out);
    ok = text && screen_show_text(s, title, text);
    free(text);
    return ok || mt_no_memory(s->error, "the screen");
}

static bool screen_leaks(struct screen *s)
{
    struct mt_top_process *p = mt_top_view_process(&s->view);
    char pid[16], width[16], text[160], size[MT_TOP_FIGURE];
    const char *const argv[] = {"leaks", pid, "--width", width, NULL};
    uint64_t bytes, ns;

    mt_top_process_stop_cost(p, &bytes, &ns);
    snprintf(text, sizeof text,
             "Process %d stands still while %s are read, about %" PRIu64
             ".%02u s.  Search for leaks? (y/n)",
             (int)p->pid, mt_top_bytes(&s->options.style, bytes, size),
             ns / 1000000000, (unsigned)(ns / 10000000 % 100));
    screen_put(s, LINES - 1, "", A_REVERSE);
    screen_put(s, LINES - 1, text, A_REVERSE);
    refresh();
    if (screen_ask(s) != 'y')
        return true;
    screen_put(s, LINES - 1, "searching ...", A_REVERSE);
    refresh();
    snprintf(pid, sizeof pid, "%d", (int)p->pid);
    snprintf(width, sizeof width, "%d", COLS > 0 ? COLS : 80);
    return screen_run(s, "Leaks", argv);
}

static bool screen_save(struct screen *s)
{
    const struct mt_top_process *p = mt_top_view_process(&s->view);
    char pid[16], name[SCREEN_INPUT];
    const char *const argv[] = {"save", pid, "-o", name, NULL};

    snprintf(pid, sizeof pid, "%d", (int)p->pid);
    snprintf(name, sizeof name, "memtrace.%d.core", (int)p->pid);
    if (!screen_input(s, "Stop the process and write a mini-core: ", name) ||
        !name[0])
        return true;
    return screen_run(s, "Mini-core", argv);
}

static void screen_filter(struct screen *s)
{
    char text[SCREEN_INPUT] = "";
    struct mt_error error = {0};

    if (s->view.filter_text)
        snprintf(text, sizeof text, "%.*s", SCREEN_INPUT - 1,
                 s->view.filter_text);
    if (!screen_input(s, "Only stacks that match: ", text))
        return;
    if (!mt_top_view_filter(&s->view, text, &error))
        snprintf(s->cursor.message, sizeof s->cursor.message, "%.95s",
                 error.text);
    s->cursor.row = 0;
}

/* --- the loop --- */

static bool screen_act(struct screen *s, enum mt_top_action action, bool *quit)
{
    switch (action) {
    case MT_ACTION_QUIT:
        *quit = true;
        return true;
    case MT_ACTION_HELP:
        return screen_show_text(s, "memtrace top: keys", mt_top_keys_help);
    case MT_ACTION_FILTER:
        screen_filter(s);
        return true;
    case MT_ACTION_LEAKS:
        return screen_leaks(s);
    case MT_ACTION_SAVE:
        return screen_save(s);
    default:
        return true;
    }
}

static bool screen_loop(struct screen *s)
{
    bool ok = true, quit = false, more = true;

    while (ok && !quit && !s->lost) {
        ok = screen_draw(s);
        if (!ok)
            break;
        more = !s->view.frozen && !mt_top_all_ended(&s->top);
        int key = screen_wait(s, more ? mt_top_wait_ns(&s->top)
                                      : UINT64_C(1000000000));
        if (key != ERR && key != KEY_RESIZE)
            ok = screen_act(
                s, mt_top_key(&s->view, &s->cursor, screen_key_of(key)), &quit);
        if (!ok || quit || !more || mt_top_wait_ns(&s->top) >= 1000000)
            continue;
        if (s->options.refreshes && s->top.refreshes >= s->options.refreshes)
            break;
        ok = mt_top_refresh(&s->top, s->error);
    }
    return ok;
}

static void screen_set_locale(struct screen *s)
{
    bool ok = setlocale(LC_CTYPE, "") && MB_CUR_MAX > 1;

    /* The locale may be named, and not installed. */
    s->wide = s->options.utf8 && (ok || setlocale(LC_CTYPE, "C.UTF-8"));
    if (s->wide)
        return;
    s->options.utf8 = false;
    s->options.style.ellipsis = "...";
}

bool mt_top_screen(const struct mt_top_options *options, struct mt_error *error)
{
    struct screen s = {.options = *options, .error = error};
    SCREEN *terminal;
    bool ok;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return mt_fail(error, "top: the screen needs a terminal; --batch "
                              "prints text");
    screen_set_locale(&s);
    ok = mt_top_begin(&s.top, &s.options, error);
    mt_top_view_begin(&s.view, &s.top);
    ok = ok && mt_top_view_filter(&s.view, options->filter, error);
    terminal = ok ? newterm(NULL, stdout, stdin) : NULL;
    if (ok && !terminal)
        ok = mt_fail(error,
                     "top: the terminal '%s' is not known: set TERM, or use "
                     "--batch",
                     getenv("TERM") ? getenv("TERM") : "");
    if (terminal) {
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        set_escdelay(SCREEN_ESCAPE_MS);
        curs_set(0);
        ok = screen_loop(&s);
        endwin();
        delscreen(terminal);
    }
    mt_top_view_end(&s.view);
    mt_top_end(&s.top);
    return ok;
}
