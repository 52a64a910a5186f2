"""An HTTPS server and a client, both of the standard library and both with their TLS from `guest_tls`, on 127.0.0.1."""

import http.server
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import guest_tls
from guest_tls.bench import make_certificate


class Page(http.server.BaseHTTPRequestHandler):
    """Says what the server knows of the connection."""

    def do_GET(self) -> None:
        tls = self.connection
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"the server: {tls.version()}, {tls.cipher()[0]}, {tls.group()}, asked for as {tls.sni_name()}\n".encode())

    def log_message(self, *_: object) -> None:
        pass


with tempfile.TemporaryDirectory() as folder:
    chain, key = make_certificate(Path(folder))
    context = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.server_port}/"

        # The certificate is for another name, so this is refused, by the exception of the standard `ssl`.
        trusting = guest_tls.create_default_context(cafile=chain)
        try:
            urllib.request.urlopen(url, context=trusting)
        except urllib.error.URLError as error:
            assert isinstance(error.reason, ssl.SSLCertVerificationError)
            print(f"the client: {error.reason.verify_message} (code {error.reason.verify_code})")

        trusting.check_hostname = False
        with urllib.request.urlopen(url, context=trusting) as response:
            print(response.read().decode(), end="")
        server.shutdown()
