"""The command lines of the manifests, with the real program, in wasmtime, against OpenSSL (Python's ssl)."""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from checks.manifests import HERE, ROTATE, RUN, ended, option, pod_and_container, run, set_option, size, systemd_command, tool, unit
from checks.peers import Echo, Proxy, eventually, get, refuses, say

KEY = 48

# The programs: `check` says where they are.
OPTIONS = argparse.Namespace()


class Programs(unittest.TestCase):
    """Starts the command lines of the manifests, with the real program, in wasmtime: other folders, and free ports of 127.0.0.1."""

    def setUp(self):
        for file, how in ((OPTIONS.wasmtime, "cargo xtask setup"), (OPTIONS.command, "cargo xtask cli")):
            if not file.exists():
                self.fail(f"{file} is missing: {how}, or say where another is")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        subject = ["-subj", "/CN=deploy.test", "-addext", "subjectAltName=DNS:deploy.test"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", self.folder / "tls.key"]
        openssl = tool("openssl", "apt install openssl")
        run(openssl, "req", "-x509", *key, "-out", self.folder / "tls.crt", "-days", "2", *subject)
        self.keys = self.folder / "ticket-keys"
        run(ROTATE, self.keys, "7200", "3600")
        self.client = ssl.create_default_context(cafile=self.folder / "tls.crt")
        self.back = self.enterContext(Echo())

    def pod(self):
        """The pod's command line. The shim gives the container's whole file system; here it is one folder, as /run."""
        (self.folder / "run").mkdir()
        for mount, names in {"tls": ["tls.crt", "tls.key"], "ticket-keys": ["keys"]}.items():
            # As the kubelet lays a Secret out: links into a folder that is replaced.
            data = self.folder / "run" / mount / "..2026"
            data.mkdir(parents=True)
            (data.parent / "..data").symlink_to("..2026")
            for name in names:
                shutil.copy(self.keys if name == "keys" else self.folder / name, data / name)
                (data.parent / name).symlink_to(f"..data/{name}")
        # Nothing stands before the program: as in the shim, SIGTERM ends it at once.
        host = [OPTIONS.wasmtime, "run", "-C", "cache=n", "-S", "inherit-network,allow-ip-name-lookup", "--allow-precompiled"]
        command = [*host, "--dir", f"{self.folder}/run::/run", OPTIONS.command, *pod_and_container()[1]["args"]]
        return [str(word) for word in command]

    def image(self):
        """The command line of the image with wasmtime in it, in front of as much of the pod's as it leaves open."""
        text = (HERE / "image" / "Containerfile.wasmtime").read_text().replace("\\\n", " ")
        arguments = list(pod_and_container()[1]["args"])
        # It has one folder, and stops with its input.
        set_option(arguments, "--ticket-keys", "/run/tls/ticket-keys")
        return [*json.loads(re.search(r"^ENTRYPOINT (.*)$", text, flags=re.M)[1]), *arguments, "--until-stdin-ends"]

    @contextlib.contextmanager
    def proxy(self, command):
        """The command line of a manifest, with the things of this machine in the places of the manifest's."""
        places = {
            "/usr/local/lib/guest-tls/run-until-term": RUN,
            "/usr/local/bin/wasmtime": OPTIONS.wasmtime,
            "/usr/local/lib/guest-tls/guest-tls-cli.cwasm": OPTIONS.command,
            "/etc/guest-tls::/tls": f"{self.folder}::/tls",
            # In the image, where they have other places.
            "/usr/local/bin/run-until-term": RUN,
            "/usr/local/lib/guest-tls-cli.cwasm": OPTIONS.command,
            "/run/tls": f"{self.folder}::/run/tls",
        }
        command = [str(places.get(word, word)) for word in command]
        for name, value in (("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0"), ("--to", f"127.0.0.1:{self.back.port}")):
            set_option(command, name, value)
        # A user of a service has no home: wasmtime must not want to keep its cache there.
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "HOME": "/proc"})
        with process.stderr, ended(process):
            proxy = Proxy(process, command)
            try:
                yield proxy
            except BaseException as error:
                error.add_note(f"The proxy said: {proxy.said()}")
                raise

    def connect(self, proxy, session=None):
        tcp = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
        return self.client.wrap_socket(tcp, server_hostname="deploy.test", session=session)

    def session(self, proxy):
        with self.connect(proxy) as connection:
            # The ticket comes with, or before, the first data.
            say(connection, b"ticket")
            return connection.session

    def resumes(self, proxy, session):
        with self.connect(proxy, session) as connection:
            self.assertEqual(say(connection, b"again"), b"again")
            return connection.session_reused


class Live(Programs):
    def test_the_service_of_systemd_serves_and_ends_gracefully(self):
        proxy = self.enterContext(self.proxy(systemd_command()))
        self.assertEqual(get(proxy.admin, "/healthz")[0], 200)
        self.assertIn(b"# TYPE", get(proxy.admin, "/metrics")[1])
        # Its administration has no commands.
        self.assertIn(get(proxy.admin, "/-/quit", "POST")[0], (403, 404, 405))
        with self.connect(proxy) as open_connection:
            self.assertEqual(say(open_connection, b"before"), b"before")
            proxy.process.send_signal(signal.SIGTERM)
            self.assertTrue(eventually(lambda: refuses(proxy.port)), "it still takes connections after SIGTERM")
            self.assertEqual(say(open_connection, b"after"), b"after")
            self.assertIsNone(proxy.process.poll())
        self.assertEqual(proxy.process.wait(timeout=20), 0)

    def test_the_pod_of_kubernetes_serves(self):
        proxy = self.enterContext(self.proxy(self.pod()))
        self.assertEqual(get(proxy.admin, "/healthz")[0], 200)
        with self.connect(proxy) as connection:
            self.assertEqual(say(connection, b"hello"), b"hello")

    def test_a_session_of_one_instance_resumes_on_another_across_a_rotation(self):
        command = systemd_command()
        set_option(command, "--reload-every", "1")
        first, second = (self.enterContext(self.proxy(command)) for _ in range(2))
        session = self.session(first)
        self.assertTrue(self.resumes(second, session), "the instances don't share keys")
        run(ROTATE, self.keys, "7200", "3600")
        # A third one keeps the old keys: it can't open what the new key has sealed.
        (self.folder / "old-keys").write_bytes(self.keys.read_bytes()[KEY:])
        behind = list(command)
        set_option(behind, "--ticket-keys", "/tls/old-keys")
        third = self.enterContext(self.proxy(behind))
        self.assertTrue(eventually(lambda: not self.resumes(third, self.session(first))), "the first one did not take the new key")
        self.assertTrue(eventually(lambda: self.resumes(second, self.session(first))), "the second one did not take the new key")
        self.assertTrue(self.resumes(second, session), "a session of the key before is lost")
        # Three more, and the key of that session is gone.
        for _ in range(3):
            run(ROTATE, self.keys, "7200", "3600")
        self.assertTrue(eventually(lambda: not self.resumes(second, session)), "a key that is gone is still taken")

    def test_a_damaged_key_file_changes_nothing(self):
        command = systemd_command()
        set_option(command, "--reload-every", "1")
        proxy = self.enterContext(self.proxy(command))
        session = self.session(proxy)
        self.keys.write_bytes(b"garbage")
        self.assertTrue(eventually(lambda: "ticket-keys" in proxy.said()), "the program does not say what is wrong")
        self.assertTrue(self.resumes(proxy, session))


class Full(Programs):
    """As many connections as a manifest allows, and more: none of the open ones is harmed, and the program goes on.

    All numbers are a tenth of the manifest's, wasmtime's limit of handles and of memory too; with GUEST_TLS_FILL=1 in the environment
    they are the manifest's."""

    SCALE = int(os.environ.get("GUEST_TLS_FILL", "10"))

    @classmethod
    def setUpClass(cls):
        # A connection has two files of the proxy's, and two of this process.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def test_no_more_connections_than_there_may_be(self):
        for name, command, _ in self.deployments():
            with self.subTest(name):
                self.fill(command)

    def test_who_holds_as_much_memory_as_one_may_is_no_end_of_it(self):
        for name, command, limit in self.deployments():
            for hold in (self.long_messages, self.full_buffers):
                with self.subTest(name, hold=hold.__name__):
                    most, proxy = self.scaled(command)
                    before = proxy.resident()
                    # Buffers are the same for all, and the system's own are large: some connections say enough of it.
                    count = most if hold == self.long_messages else min(most, 100)
                    with contextlib.ExitStack() as stack:
                        hold(stack, proxy, count)
                        self.assertEqual(get(proxy.admin, "/healthz")[0], 200)
                        each = (settled(proxy.resident) - before) / count
                        whole = before + each * most * self.SCALE
                    print(f"{name}, {hold.__name__}: {each / 1024:.0f} KiB each of {count}, {whole / 2**20:.0f} MiB in all", file=sys.stderr)
                    self.assertLess(whole, limit, "more than the manifest allows")
                    self.works(proxy)

    def deployments(self):
        """Names, command lines, and the bytes of memory that the whole may have: of the host's limits the lowest."""
        service, (_, container) = unit("guest-tls.service")["Service"], pod_and_container()
        pod = size(container["resources"]["limits"]["memory"])
        for name, command, limit in (
            ("systemd", systemd_command(), size(service["MemoryMax"])),
            ("pod", self.pod(), pod),
            ("image", self.image(), pod),
        ):
            yield name, command, min([limit, *(int(found) for found in re.findall(r"max-memory-size=(\d+)", shlex.join(command)))])

    def long_messages(self, stack, proxy, count):
        """Half a ClientHello of 65,000 bytes each, in records of 16 KiB (RFC 8446 sections 4 and 5.1): it needs no key, no handshake."""
        content = b"\x01\x00\xfd\xe8\x03\x03" + bytes(64900)
        records = [content[at : at + 16384] for at in range(0, len(content), 16384)]
        hello = b"".join(b"\x16\x03\x01" + len(record).to_bytes(2, "big") + record for record in records)
        for _ in range(count):
            tcp = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=20))
            tcp.sendall(hello)

    def full_buffers(self, stack, proxy, count):
        """Both sides say what the proxy takes, and neither reads."""
        self.back.floods = True
        stack.callback(setattr, self.back, "floods", False)
        for connection in self.many(lambda _: stack.enter_context(self.connect(proxy)), range(count)):
            connection.settimeout(0)
            with contextlib.suppress(ssl.SSLWantWriteError):
                while True:
                    connection.send(bytes(16384))

    def fill(self, command):
        limit, proxy = self.scaled(command)
        with contextlib.ExitStack() as stack:
            # Those who only ask for counters have handles, too.
            for _ in range(64):
                stack.enter_context(socket.create_connection(("127.0.0.1", proxy.admin), timeout=20))
            connections = list(self.many(lambda _: stack.enter_context(self.connect(proxy)), range(limit)))
            self.assertEqual(say_all(connections, b"a"), {b"a"})
            self.assertEqual(list(self.many(lambda _: self.is_refused(proxy), range(100))), [True] * 100)
            self.assertEqual(say_all(connections, b"b"), {b"b"}, "an open connection was harmed")
            # Each that goes makes room for another one.
            connections.pop().close()
            self.assertTrue(eventually(lambda: not self.is_refused(proxy)), "there is no room after one has gone")
        self.works(proxy)

    def works(self, proxy):
        """It took as many as it may, and takes others, when those have gone."""
        self.assertTrue(eventually(lambda: not self.is_refused(proxy)), "it takes no connections any more")
        self.assertTrue(eventually(lambda: b"guest_tls_connections_open 0\n" in get(proxy.admin, "/metrics")[1]))
        self.assertIsNone(proxy.process.poll())
        self.assertNotIn("trap", proxy.said())

    def scaled(self, command):
        command = list(command)
        limit = int(option(command, "--max-connections")) // self.SCALE
        set_option(command, "--max-connections", str(limit))
        if self.SCALE > 1:
            # What wasmtime allows where nobody says otherwise, as no manifest does.
            handles = 100_000 // self.SCALE
            command[command.index("run") + 1 : command.index("run") + 1] = ["-S", f"max-component-handles={handles}"]
            command += ["--host-handles", str(handles)]
            for index, word in enumerate(command):
                if found := re.fullmatch(r"max-memory-size=(\d+)", word):
                    command[index] = f"max-memory-size={int(found[1]) // self.SCALE}"
        return limit, self.enterContext(self.proxy(command))

    @staticmethod
    def many(work, items):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            yield from pool.map(work, items)

    def is_refused(self, proxy):
        try:
            with self.connect(proxy) as connection:
                return say(connection, b"x") != b"x"
        except (ConnectionError, ssl.SSLEOFError):
            return True


def say_all(connections, data):
    """What comes back. All say it before one hears: to find a single one that was idle takes the proxy as long as to find all."""
    for connection in connections:
        connection.sendall(data)
    return {connection.recv(65536) for connection in connections}


def settled(number):
    """What it is when it grows no more: what was sent has then come."""
    last = -1
    while (now := number()) > last:
        last = now
        time.sleep(0.5)
    return now
