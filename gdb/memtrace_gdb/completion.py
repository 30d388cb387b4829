# SPDX-License-Identifier: BSD-2-Clause
"""Completion of a command line: options, and what may follow them."""


def split(text):
    """(the words of a line, the raw text of the unfinished one at its end).

    As in GDB and the shell a backslash takes the meaning from what follows;
    in quotes nothing is completed."""
    words, word, raw, at = [], "", "", 0
    while at < len(text):
        if text[at].isspace():
            if raw:
                words.append(word)
            word = raw = ""
        else:
            piece = text[at:at + 2] if text[at] == "\\" else text[at]
            word += piece[-1]
            raw += piece
            at += len(piece) - 1
        at += 1
    return words, raw


def escape(word):
    """As one types a word that has spaces in it."""
    return "".join("\\" + c if c.isspace() or c in "\\'\"" else c
                   for c in word)


def complete(text, options, values):
    """(candidates for the unfinished word, that word).

    `text` is the line after the command, `options` are those of the command;
    `values` gives the candidates for what follows an option, None if nothing
    does."""
    words, raw = split(text)
    option, equals, _ = raw.partition("=")
    if raw.startswith("--") and equals:
        found = [option + equals + escape(value)
                 for value in values(option) or []]
    else:
        known = values(words[-1]) if words and words[-1] in options else None
        found = options if known is None else [escape(v) for v in known]
    return [word for word in found if word.startswith(raw)], raw
