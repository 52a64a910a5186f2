"""`guest_tls` as a peer of the host tests. It takes orders as `host-tests/peers/orders.mjs` says, and lives by the package alone."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import guest_tls

Report = dict[str, Any]
Say = Callable[..., None]


def main() -> None:
    """Reads orders until there are no more, each on a thread of its own."""
    lock = threading.Lock()

    def run(order: dict[str, Any]) -> None:
        def say(**answer: Any) -> None:
            with lock:
                print(json.dumps({"id": order["id"], **answer}), flush=True)

        try:
            ORDERS[order["order"]](order, say)
        except Exception as error:
            say(fault=f"{type(error).__name__}: {error}")

    for line in sys.stdin:
        threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()


def listen(order: dict[str, Any], say: Say) -> None:
    """A server that takes as many connections as the setup says, one after another."""
    setup = order["setup"]
    context = context_of(setup, guest_tls.PROTOCOL_TLS_SERVER)
    if setup["requestCert"]:
        context.verify_mode = guest_tls.CERT_REQUIRED if setup["rejectUnauthorized"] else guest_tls.CERT_OPTIONAL
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(port=listener.getsockname()[1])
        for _ in range(setup.get("connections", 1)):
            sock, _ = listener.accept()
            report, _ = meet(setup, context, sock)
    say(report=report)


def connect(order: dict[str, Any], say: Say) -> None:
    """A client that connects as often as the setup says, and offers the session that it got before."""
    setup = order["setup"]
    context = context_of(setup, guest_tls.PROTOCOL_TLS_CLIENT)
    if not setup["rejectUnauthorized"]:
        context.check_hostname = False
        context.verify_mode = guest_tls.CERT_NONE
    elif setup.get("skipServerIdentity"):
        context.check_hostname = False
    session = None
    for _ in range(setup.get("connections", 1)):
        sock = socket.create_connection(("127.0.0.1", order["port"]))
        report, session = meet(setup, context, sock, setup["servername"], session)
    say(report=report)


def context_of(setup: dict[str, Any], protocol: int) -> guest_tls.SSLContext:
    """The context of a setup."""
    context = guest_tls.SSLContext(protocol)
    context.minimum_version = VERSIONS[setup["minVersion"]]
    context.maximum_version = VERSIONS[setup["maxVersion"]]
    if setup["certificate"]:
        # As `ssl`, it takes files only; these can be read by this user only.
        with tempfile.NamedTemporaryFile() as chain, tempfile.NamedTemporaryFile() as key:
            for file, text in ((chain, setup["certificate"]), (key, setup["key"])):
                file.write(text.encode())
                file.flush()
            context.load_cert_chain(chain.name, key.name)
    for root in setup["roots"] or ():
        context.load_verify_locations(cadata=root)
    for crl in setup["crls"] or ():
        context.load_verify_locations(cadata=crl)
        context.verify_flags |= guest_tls.VERIFY_CRL_CHECK_CHAIN
    if setup["allowPartialTrustChain"]:
        context.verify_flags |= guest_tls.VERIFY_X509_PARTIAL_CHAIN
    if setup["ciphers"]:
        context.set_ciphers(setup["ciphers"])
    if setup["groups"]:
        context.set_ecdh_curve(setup["groups"])
    context.set_alpn_protocols(setup["alpn"])
    return context


def meet(
    setup: dict[str, Any],
    context: guest_tls.SSLContext,
    sock: socket.socket,
    servername: Optional[str] = None,
    session: Optional[guest_tls.SSLSession] = None,
) -> tuple[Report, Optional[guest_tls.SSLSession]]:
    """One connection: what was seen, and a session for the next."""
    is_server = servername is None
    try:
        connection = context.wrap_socket(
            sock, server_side=is_server, server_hostname=servername, session=session, suppress_ragged_eofs=False
        )
    except OSError as error:
        sock.close()
        return {"failure": failure(error)}, None
    with connection:
        report = {**describe(connection), **talk(setup, connection)}
        return report, None if is_server else connection.session


def talk(setup: dict[str, Any], connection: guest_tls.SSLSocket) -> Report:
    """Sends and receives as the setup's turn says. One thread sends and another receives, so that neither waits for the other."""
    turn, count = setup["turn"], setup["bytes"]
    payload = b"" if turn == "Silent" else os.urandom(count).translate(UPPER)
    sent, received = Tally(), Tally()
    ended, failed = False, []
    all_came, peer_ended = threading.Event(), threading.Event()

    def send(piece: bytes) -> None:
        sent.add(piece)
        connection.sendall(piece)

    def write() -> None:
        try:
            send(payload[: len(payload) // 2] if turn == "Second" else payload)
            if turn == "WhenAllCame":
                all_came.wait()
            elif turn != "First":
                peer_ended.wait()
            if turn == "Second":
                send(payload[len(payload) // 2 :])
            connection.close_notify()
        except OSError as error:
            failed.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        if not count:
            all_came.set()
        while piece := connection.recv(1 << 16):
            received.add(piece)
            if received.bytes >= count:
                all_came.set()
        ended = True
    except OSError as error:
        # What the writer says of it afterwards is no news.
        failed.insert(0, error)
    all_came.set()
    peer_ended.set()
    writer.join()
    return {"ended": ended, "sent": sent.told(), "received": received.told(), "failure": failure(failed[0]) if failed else None}


def describe(connection: guest_tls.SSLSocket) -> Report:
    """What is known once the handshake is done."""
    name, _, _ = connection.cipher() or ("", "", 0)
    certificate = connection.getpeercert(binary_form=True)
    subject = guest_tls.decode_certificate(certificate)["subject"] if isinstance(certificate, bytes) else ()
    error = connection.verification_error()
    return {
        "protocol": connection.version(),
        # OpenSSL's names of the suites of TLS 1.3 are IANA's.
        "suite": name if name.startswith("TLS_") else iana(name),
        "group": connection.group(),
        "alpn": connection.selected_alpn_protocol(),
        "servername": connection.sni_name() if connection.server_side else connection.server_hostname,
        "authorized": connection.is_verified(),
        "authorizationError": error and getattr(error, "code", None),
        "peerSubject": next((value for ((key, value),) in subject if key == "commonName"), None),
        "exporter": connection.export_keying_material("EXPORTER-guest-tls-test", 32).hex(),
        "resumed": connection.session_reused,
    }


def iana(name: str) -> str:
    """IANA's name of a suite of TLS 1.2: `ECDHE-RSA-AES128-GCM-SHA256` is `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`."""
    exchange, signature, rest = name.split("-", 2)
    rest = rest.replace("AES", "AES-").replace("POLY1305", "POLY1305-SHA256").replace("-", "_")
    return f"TLS_{exchange}_{signature}_WITH_{rest}"


def failure(error: OSError) -> Report:
    """An error in the words of the report."""
    reason = getattr(error, "reason", None)
    return {
        "code": getattr(error, "code", type(error).__name__),
        "message": str(error),
        "reason": reason and reason.replace("_", " ").lower(),
        "alert": getattr(error, "alert", None),
    }


class Tally:
    """How many bytes there were, and their hash."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Counts a piece."""
        self.bytes += len(piece)
        self._hash.update(piece)

    def told(self) -> Report:
        """In the words of the report."""
        return {"bytes": self.bytes, "sha256": self._hash.hexdigest()}


# Each byte with its upper bit set, as all peers send: `s_client` says other things on the same pipe.
UPPER = bytes(byte | 0x80 for byte in range(256))
ORDERS = {"listen": listen, "connect": connect}
VERSIONS = {"TLSv1.2": guest_tls.TLSVersion.TLSv1_2, "TLSv1.3": guest_tls.TLSVersion.TLSv1_3}

if __name__ == "__main__":
    main()
