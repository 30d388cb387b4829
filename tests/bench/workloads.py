# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks' workloads: the patterns of patterns.c, and programs of
others with inputs that are made here, the same in every run."""

import json
import os
import random
import shlex
import shutil
import subprocess

from measure import BUILD, PROGRAMS, Workload, clean_environment

SQL = """
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO t SELECT i, 'name ' || (i * 7919 %% 10007), i * 0.37,
    zeroblob(i %% 97) FROM n;
CREATE INDEX by_name ON t(name);
CREATE INDEX by_value ON t(value);
SELECT name, count(*) AS c, max(value) FROM t GROUP BY name
    ORDER BY c DESC, name LIMIT 20;
SELECT a.id, b.id FROM t a JOIN t b ON a.name = b.name AND a.id < b.id
    ORDER BY a.id, b.id LIMIT 50;
SELECT length(group_concat(upper(name) || value, ',')) FROM t;
UPDATE t SET name = lower(name) || id WHERE id %% 3 = 0;
DELETE FROM t WHERE id %% 5 = 0;
SELECT length(json_group_array(json_object('i', id, 'n', name))) FROM t;
"""

# What a session of short statements does to malloc: parse, plan, forget.
STATEMENTS = ("INSERT INTO u VALUES(%d, 'text %d', %d.5);\n",
              "SELECT count(*), max(b) FROM u WHERE a > %d AND c < %d + %d;\n")

PYTHON = """
import collections, json, random, re
r = random.Random(4711)
data = [{"id": i, "tags": [r.choice("abcdef") * r.randint(1, 9)
         for _ in range(5)], "x": r.random()} for i in range(%d)]
text = json.dumps(data)
assert json.loads(text) == data
print(len(text), collections.Counter(re.findall("[a-f]{3,}", text))
      .most_common(5))
class Node:
    def __init__(self, key):
        self.key, self.next = key, []
nodes = {i: Node(str(i)) for i in range(%d)}
for i, node in nodes.items():
    node.next = [nodes[j] for j in (i * 2, i * 3) if j in nodes]
seen, todo = set(), [nodes[1]]
while todo:
    node = todo.pop()
    if node.key not in seen:
        seen.add(node.key)
        todo.extend(node.next)
print(len(seen), sum(len("%%s-%%d" %% (k, len(n.next)))
                     for k, n in nodes.items()))
print(len(",".join(sorted(str(x * x) for x in range(%d)))))
"""

PERL = r"""
my %%h; my $s = 42;
for my $i (1 .. %d) {
    $s = ($s * 1103515245 + 12345) & 0x7fffffff;
    push @{$h{$s %% 5000}}, "item $i of $s";
}
my $n = 0;
for my $k (sort { $a <=> $b } keys %%h) {
    my @l = sort { length $a <=> length $b or $a cmp $b } @{$h{$k}};
    $n += () = join(" ", @l) =~ /(\d+)\s/g;
}
print "$n\n";
"""

AWK = """
{ for (i = 1; i <= NF; i++) { count[$i]++; where[$i] = where[$i] NR "," }
  line[NR] = $0 }
END { for (w in count) total += count[w] * length(where[w])
      for (i = NR; i > 0; i--) if (index(line[i], "7")) hits++
      print total, hits, NR }
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    mode = "wb" if isinstance(text, bytes) else "w"
    with open(path, mode) as file:
        file.write(text)
    return path


def quiet(argv, folder, **more):
    """Run what prepares an input; its output as bytes."""
    return subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=clean_environment(),
                          check=True, **more).stdout


def words(folder, lines):
    """A text whose words repeat as those of a language do."""
    pick = random.Random(5)
    text = "\n".join(" ".join(
        "w%d" % (pick.paretovariate(0.7) % 20000) for _ in range(12))
        for _ in range(lines))
    return write(folder, "words", text + "\n")


def c_source(functions):
    """A C file with that many functions, of many shapes."""
    pick = random.Random(1)
    parts = ["#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"]
    for i in range(functions):
        fields = "".join("  %s f%d;\n" % (
            pick.choice(("int", "char *", "double", "unsigned char")), j)
            for j in range(pick.randint(1, 8)))
        body = "".join(
            "  for (i = 0; i < n %% %d; i++)\n"
            "    if ((a[i] ^ %d) & %d) sum += a[i] * %d; else sum -= b[i];\n"
            "  switch (sum & 7) { case %d: a[0]++; break;"
            " default: b[n & 3] = sum; }\n" % (
                pick.randint(2, 99), pick.randint(1, 99), pick.randint(1, 99),
                pick.randint(1, 99), pick.randint(0, 7))
            for _ in range(pick.randint(1, 5)))
        parts.append("struct s%d {\n%s};\nint g%d(int *a, int *b, int n)\n{\n"
                     "  int i, sum = (int)sizeof(struct s%d);\n%s"
                     "  return sum;\n}\n" % (i, fields, i, i, body))
    return "".join(parts)


CXX_SOURCE = """
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>
template <int N> struct item {
    std::map<std::string, std::vector<item<N - 1>>> children;
    std::unordered_map<int, std::shared_ptr<item<N - 1>>> index;
    std::size_t size() const {
        std::size_t n = N;
        for (const auto &c : children)
            for (const auto &i : c.second) n += i.size();
        return n;
    }
};
template <> struct item<0> { std::size_t size() const { return 0; } };
std::size_t f(const item<%d> &x, const std::string &s) {
    std::map<std::string, std::size_t> seen;
    for (char c : s)
        seen[std::string(1, c)] += x.size();
    return seen.size();
}
"""


def patterns(scale):
    """The patterns, at `scale` percent."""
    program = os.path.join(PROGRAMS, "patterns")
    names = subprocess.run([program], stdout=subprocess.PIPE,
                           check=True).stdout.decode().split()
    return [Workload(name, "patterns", [program, name, scale])
            for name in names]


def sqlite3(folder, scale):
    text = SQL % (600 * scale) + "CREATE TABLE u(a, b, c);\n"
    for i in range(120 * scale):
        text += STATEMENTS[0] % (i, i, i)
        if i % 10 == 0:
            text += STATEMENTS[1] % (i - 20, i, i)
    return Workload("sqlite3", "programs", ["sqlite3", ":memory:"],
                    input=write(folder, "sql", text))


def python3(folder, scale):
    text = PYTHON % (200 * scale, 700 * scale, 1000 * scale)
    return Workload("python3", "programs",
                    ["/usr/bin/python3", "-S", write(folder, "load.py", text)],
                    env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"})


def redis(folder, scale):
    """A server that is sent commands through a socket, then told to end."""
    pick = random.Random(3)
    lines = []
    for i in range(2500 * scale):
        key = pick.randrange(400 * scale)
        lines.append(pick.choice((
            "SET k%d %s" % (key, "v" * pick.randrange(1, 200)),
            "SET k%d %s" % (key, "v" * pick.randrange(1, 200)),
            "DEL k%d" % key, "GET k%d" % key,
            "LPUSH l%d e%d" % (key % 99, i), "LPOP l%d" % (key % 99),
            "HSET h%d f%d %d" % (key % 99, i % 999, i),
            "ZADD z%d %d m%d" % (key % 9, i, key), "APPEND a%d xyz" % key)))
    commands = write(folder, "redis", "\r\n".join(lines) + "\r\n")
    socket = os.path.join(folder, "s")
    client = "redis-cli -s %s" % shlex.quote(socket)
    return Workload(
        "redis", "programs",
        ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
         "--appendonly", "no", "--logfile", "/dev/null",
         "--crash-memcheck-enabled", "no"],
        client="until %s ping; do sleep 0.02; done; %s --pipe <%s;"
        " %s shutdown nosave; exit 0" % (
            client, client, shlex.quote(commands), client),
        own_malloc=True)


def git_repository(folder, scale):
    """A repository of some hundred commits on some hundred files."""
    path = os.path.join(folder, "repository")
    quiet(["git", "init", "-q", "-b", "main", path], folder)
    pick = random.Random(9)
    stream, files = [], {}
    for commit in range(8 * scale):
        stream.append("commit refs/heads/main\ncommitter A <a@b> %d +0000\n"
                      "data 7\nchange\n" % (1700000000 + commit * 60))
        for _ in range(6):
            name = "d%d/f%d.c" % (pick.randrange(12), pick.randrange(40))
            lines = files.setdefault(name, ["int a%d;" % n for n in range(99)])
            lines[pick.randrange(len(lines))] = "int b%d;" % commit
            lines.insert(pick.randrange(len(lines)), "/* %d */" % commit)
            text = "\n".join(lines)
            stream.append("M 100644 inline %s\ndata %d\n%s\n" % (
                name, len(text), text))
    quiet(["git", "fast-import", "--quiet"], path,
          input="".join(stream).encode())
    return path


def git(folder, scale):
    path = git_repository(folder, scale)
    own = {"HOME": folder, "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"}
    return [
        Workload("git log", "programs",
                 ["git", "-C", path, "log", "-p", "--stat", "-M"], env=own),
        Workload("git repack", "programs",
                 ["git", "-C", path, "-c", "pack.threads=1", "repack", "-a",
                  "-d", "-f", "-q", "--window=40"], env=own)]


def compilers(folder, scale):
    """The compilers proper, without the driver and the assembler."""
    out = []
    for name, driver, suffix, text in (
            ("cc1", "gcc", ".c", c_source(max(2 * scale // 5, 8))),
            ("cc1plus", "g++", ".cc", CXX_SOURCE % max(scale // 3, 4))):
        if not shutil.which(driver):
            continue
        program = quiet([driver, "-print-prog-name=" + name],
                        folder).decode().strip()
        source = write(folder, name + suffix, text)
        pre = os.path.join(folder, name + (".i" if suffix == ".c" else ".ii"))
        quiet([driver, "-E", "-P", "-o", pre, source], folder)
        asm = os.path.join(folder, name + ".s")
        out.append(Workload(name, "programs",
                            [program, "-quiet", "-fpreprocessed", "-O1",
                             pre, "-o", asm], output=asm))
    return out


def debugger(folder, scale):
    """GDB reads the debug information of what it is given, many times."""
    library = os.path.join(BUILD, "preload", ".libs", "libmemtrace-preload.so")
    copies = []
    for i in range(max(scale // 12, 2)):
        path = os.path.join(folder, "library%d.so" % i)
        shutil.copy(library, path)
        copies += ["-ex", "add-symbol-file %s %d" % (path, 0x100000 * (i + 1))]
    return Workload("gdb", "programs", [
        "gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", *copies,
        "-ex", "maint expand-symtabs", "-ex", "info types mt_", library],
        env={"HOME": folder})


PYTHON_JSON = """
import json, sys
with open(sys.argv[1], encoding="ascii") as file:
    data = json.loads(file.read())
print(len(data))
"""


def json_text(megabytes):
    """Records with values of every kind in them, some of them deep."""
    pick = random.Random(4711)

    def value(depth):
        kind = pick.random()
        if depth > 5 or kind < 0.35:
            return pick.choice((pick.random(), pick.randint(0, 10 ** 6),
                                "s" * pick.randint(1, 20), None, True))
        n = pick.randint(1, 6)
        if kind < 0.7:
            return {"k%d" % pick.randint(0, 200): value(depth + 1)
                    for _ in range(n)}
        return [value(depth + 1) for _ in range(n)]

    parts, size = [], 0
    while size < megabytes * 1000000:
        parts.append(json.dumps({
            "id": len(parts), "name": "n%d" % len(parts),
            "tags": ["t%d" % pick.randint(0, 99) for _ in range(3)],
            "body": value(0)}))
        size += len(parts[-1]) + 2
    return "[" + ", ".join(parts) + "]"


def redis_pipelined(folder, scale):
    """A server under redis-benchmark, 32 requests in flight a client."""
    socket = os.path.join(folder, "p")
    server = ["redis-server", "--port", "0", "--unixsocket", socket,
              "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
              "--crash-memcheck-enabled", "no"]
    client = "redis-cli -s %s" % shlex.quote(socket)
    load = ("redis-benchmark -s %s -P 32 -n %d -r 100000 -q -t "
            "set,get,lpush,lpop,sadd,hset >/dev/null 2>&1" % (
                shlex.quote(socket), 3000 * scale))
    return Workload("redis -P 32", "worst", server, own_malloc=True,
                    client="until %s ping; do sleep 0.02; done; %s; "
                    "%s shutdown nosave; exit 0" % (client, load, client))


def worst(folder, scale):
    """Programs that tracing costs most: their stacks hardly ever repeat in
    order, or little else is done.  And what was left out."""
    left, out = [], []
    program = os.path.join(PROGRAMS, "recursive")
    for name in ("json", "cubes", "distinct", "fork"):
        out.append(Workload(name, "worst", [program, name, scale]))
    if shutil.which("/usr/bin/python3"):
        text = write(folder, "text.json", json_text(scale / 5))
        script = write(folder, "loads.py", PYTHON_JSON)
        for name, env in (("python json", {}), ("python json, malloc",
                                                {"PYTHONMALLOC": "malloc"})):
            out.append(Workload(name, "worst", ["/usr/bin/python3", "-S",
                                                script, text], env=env))
    else:
        left.append("/usr/bin/python3: skipped, it is not installed")
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        out.append(redis_pipelined(folder, scale))
    else:
        left.append("redis-benchmark: skipped, it is not installed")
    return out, left


def programs(folder, scale):
    """The programs that are installed here, and what was left out."""
    left, out = [], []
    text = words(folder, 600 * scale)
    makers = {
        "sqlite3": sqlite3, "/usr/bin/python3": python3,
        "redis-server": redis, "git": git, "gcc": compilers,
        "gdb": debugger,
        "perl": lambda f, s: Workload(
            "perl", "programs", ["perl", "-e", PERL % (3500 * s)],
            env={"PERL_HASH_SEED": "0"}),
        "gawk": lambda f, s: Workload(
            "gawk", "programs", ["gawk", AWK, text]),
        "xz": lambda f, s: Workload(
            "xz", "programs", ["xz", "-2", "-T1", "-k", "-c", text]),
    }
    for name, make in makers.items():
        if shutil.which(name):
            made = make(folder, scale)
            out += made if isinstance(made, list) else [made]
        else:
            left.append("%s: skipped, it is not installed" % name)
    return out, left
