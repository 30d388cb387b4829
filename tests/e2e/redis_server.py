# SPDX-License-Identifier: BSD-2-Clause
"""A redis-server of Debian, on the traced heap or not."""

import os
import socket

import harness
from harness import Process, check


def server_program(folder):
    """redis-server; Debian's redis-tools has it under another name."""
    path = os.path.join(folder, "redis-server")
    if not os.path.exists(path):
        try:
            program = harness.need("redis-server")
        except harness.Skip:
            program = harness.need("redis-check-rdb")
        os.symlink(os.path.realpath(program), path)
    return path


class Server:
    """A redis-server on a socket in `folder`, and a client of it."""

    def __init__(self, folder, traced, options="", *arguments):
        self.path = os.path.join(folder, "s")
        program = server_program(folder)
        log = os.open(os.path.join(folder, "log"), os.O_CREAT | os.O_WRONLY)
        self.process = Process(
            [program, "--port", "0", "--unixsocket", self.path, "--save", "",
             "--appendonly", "no", *arguments],
            traced, options, cores=True, cwd=folder, stdout=log,
            stderr=log)
        os.close(log)
        self.pid = self.process.pid

    def __enter__(self):
        self.client = socket.socket(socket.AF_UNIX)
        harness.wait_until(self.connects, "redis-server")
        self.client.settimeout(60)
        self.replies = self.client.makefile("rb")
        return self

    def connects(self):
        check(self.process.child.poll() is None, "redis-server ended")
        return self.client.connect_ex(self.path) == 0

    def __exit__(self, *unused):
        self.replies.close()
        self.client.close()
        self.process.__exit__()

    def ask(self, *words):
        """One command; returns its reply as Python values."""
        parts = [str(word).encode() for word in words]
        self.client.sendall(b"*%d\r\n" % len(parts) + b"".join(
            b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.reply()

    def reply(self):
        line = self.replies.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        check(kind != b"-", "redis says " + line.decode())
        return rest

    def benchmark(self, *options):
        done = harness.run([harness.need("redis-benchmark"), "-s", self.path,
                            "-q", *options])
        text = (done.stdout + done.stderr).decode()
        check("rror" not in text, "redis-benchmark: " + text)
