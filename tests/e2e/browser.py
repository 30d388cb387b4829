# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium, driven by chromedriver over its own protocol."""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import harness

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A session; scripts run in the page."""

    def __init__(self, port, folder, dark=False):
        self.base = "http://127.0.0.1:%d" % port
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu",
                     "--disable-dev-shm-usage", "--window-size=1280,940",
                     "--user-data-dir=" + folder]
        if dark:
            arguments.append("--force-dark-mode")
        value = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments}}}})
        self.session = "/session/" + value["sessionId"]
        # Where it serves its own DevTools.
        self.devtools = "http://%s/devtools/" % value["capabilities"][
            "goog:chromeOptions"]["debuggerAddress"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"},
            method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise harness.Failure("%s %s: %s" % (
                method, path, error.read()[:600].decode())) from error

    def run(self, script, *arguments):
        return self.ask("POST", self.session + "/execute/sync",
                        {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """As run(); the script is the body of an async function, and its result
        is what that returns."""
        value = self.ask("POST", self.session + "/execute/async", {
            "script": "const done = arguments[arguments.length - 1];"
                      "(async (...given) => {%s})(...arguments).then("
                      "(value) => done({value}),"
                      "(error) => done({error: String(error.stack)}));" %
                      script, "args": list(arguments)})
        harness.check("error" not in value, value.get("error"))
        return value["value"]

    def open_devtools(self):
        """A page of the browser's own DevTools, whose modules scripts import."""
        self.ask("POST", self.session + "/timeouts", {"script": 100000})
        self.ask("POST", self.session + "/url",
                 {"url": self.devtools + "inspector.html"})

    def cdp(self, command, **parameters):
        return self.ask("POST", self.session + "/goog/cdp/execute",
                        {"cmd": command, "params": parameters})

    def task_seconds(self):
        """Processor time of the page's main thread since it was opened."""
        return {metric["name"]: metric["value"] for metric in self.cdp(
            "Performance.getMetrics")["metrics"]}["TaskDuration"]

    def open(self, path):
        """Open a file and wait for its scripts."""
        self.ask("POST", self.session + "/url", {"url": "about:blank"})
        self.ask("POST", self.session + "/url", {"url": "file://" + path})

    def wait(self, script, what, timeout=60):
        harness.wait_until(lambda: self.run("return " + script), what, timeout)

    def click(self, selector):
        self.ask("POST", self.find(selector) + "/click", {})

    def send(self, selector, text):
        """Type into an element; a file's path into an input for files."""
        self.ask("POST", self.find(selector) + "/value", {"text": text})

    def press(self, key):
        self.ask("POST", self.session + "/actions", {"actions": [{
            "type": "key", "id": "k", "actions": [
                {"type": "keyDown", "value": key},
                {"type": "keyUp", "value": key}]}]})

    def text(self):
        return self.run("return document.body.innerText")

    def errors(self):
        """What the page's console says."""
        return [entry["message"] for entry in self.ask(
            "POST", self.session + "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def find(self, selector):
        """The path of an element."""
        element = self.ask("POST", self.session + "/element",
                           {"using": "css selector", "value": selector})
        return "%s/element/%s" % (self.session, element[ELEMENT])

    def screenshot(self, path, selector=None):
        """Of the window, or of an element."""
        of = self.find(selector) if selector else self.session
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("GET", of + "/screenshot")))


@contextlib.contextmanager
def browser(dark=False):
    driver = shutil.which("chromedriver")
    if not driver or not (shutil.which("chromium") or
                          shutil.which("google-chrome")):
        raise harness.Skip("there is no chromium with chromedriver here")
    with tempfile.TemporaryDirectory(prefix="memtrace-e2e-",
                                     ignore_cleanup_errors=True) as folder:
        # pylint: disable-next=consider-using-with
        child = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, cwd=folder,
                                 stdin=subprocess.DEVNULL)
        try:
            port = None
            end = time.monotonic() + 60
            while not port and time.monotonic() < end:
                line = child.stdout.readline().decode()
                found = re.search(r"started successfully on port (\d+)", line)
                port = found and int(found.group(1))
                if not line:
                    raise harness.Skip("chromedriver does not start")
            window = Browser(port, folder, dark)
            try:
                yield window
            finally:
                window.ask("DELETE", window.session)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


def picture(path, name):
    """Keeps a screenshot as a picture of the documentation, with fewer colours,
    where MT_PICTURES names the folder."""
    folder = os.environ.get("MT_PICTURES")
    if not folder:
        return
    output = os.path.join(folder, name + ".png")
    harness.run([harness.need("pngquant"), "--force", "--strip", "--output",
                 output, "64", path])
    harness.check(os.path.getsize(output) < 150 * 1024, output + " is large")
