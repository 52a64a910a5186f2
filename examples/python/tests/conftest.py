"""Certificates that are made when the tests start, and two ends that meet on 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, Optional

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import guest_tls

#: The two modules that every test of the shape runs with. What is said of one has to be true of the other.
MODULES = [pytest.param(guest_tls, id="guest_tls"), pytest.param(ssl, id="ssl")]
#: In seconds: nothing here takes longer, unless it hangs.
PATIENCE = 30


@pytest.fixture(params=MODULES)
def client(request: pytest.FixtureRequest) -> ModuleType:
    """The client's module."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=MODULES)
def server(request: pytest.FixtureRequest) -> ModuleType:
    """The server's module."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    """A module."""
    return request.param  # type: ignore[no-any-return]


@dataclass
class Identity:
    """A certificate and its key, in files."""

    certificate: x509.Certificate
    key: Any
    chain: str
    key_file: str

    @property
    def files(self) -> tuple[str, str]:
        """As `load_cert_chain` takes them."""
        return self.chain, self.key_file


class Authority:
    """A CA that issues what a test needs."""

    def __init__(self, folder: Path, name: str, issuer: Optional[Authority] = None) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.COUNTRY_NAME, "NL")])
        self.certificate = build(self.name, self.key, issuer or self, authority=True)
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(pem(self.certificate))

    def issue(self, name: str, key: Any = None, password: Optional[bytes] = None, **options: Any) -> Identity:
        """An identity."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = options.pop("subject", None) or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = build(subject, key, self, **options)
        stem = f"{name}-{certificate.serial_number:x}"
        chain, key_file = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        chain.write_bytes(pem(certificate))
        encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
        return Identity(certificate, key, str(chain), str(key_file))

    def revoke(self, *identities: Identity) -> str:
        """A file with the revocation list."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(now - HOUR).next_update(now + DAY)
        for identity in identities:
            serial = identity.certificate.serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - HOUR).build()
            builder = builder.add_revoked_certificate(revoked)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        path = self.folder / f"crl-{len(identities)}-{id(identities)}.pem"
        path.write_bytes(pem(builder.sign(self.key, hashes.SHA256())))
        return str(path)


def build(
    subject: x509.Name,
    key: Any,
    issuer: Authority,
    names: tuple[str, ...] = (),
    authority: bool = False,
    days: tuple[int, int] = (-1, 30),
    usage: Any = None,
) -> x509.Certificate:
    """A certificate."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    if authority:
        usages = dict.fromkeys(KEY_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        builder = builder.add_extension(x509.KeyUsage(**usages), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def general_name(name: str) -> x509.GeneralName:
    """A DNS name, an address or a URI."""
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(thing: Any) -> bytes:
    """In PEM."""
    return thing.public_bytes(serialization.Encoding.PEM)  # type: ignore[no-any-return]


@dataclass
class Certificates:
    """What most tests need."""

    folder: Path
    ca: Authority
    other_ca: Authority
    server: Identity
    other_server: Identity
    client: Identity


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates."""
    folder = tmp_path_factory.mktemp("pki")
    ca, other = Authority(folder, "ca.test"), Authority(folder, "other-ca.test")
    rsa_key = rsa.generate_private_key(65537, 2048)
    return Certificates(
        folder=folder,
        ca=ca,
        other_ca=other,
        server=ca.issue(
            "server.test", names=("server.test", "localhost", "*.wild.test", "127.0.0.1"), usage=ExtendedKeyUsageOID.SERVER_AUTH
        ),
        other_server=ca.issue("other.test", key=rsa_key, names=("other.test",)),
        client=ca.issue("client.test", names=("client.test", "https://client.test/id"), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    )


def client_context(module: ModuleType, pki: Certificates, **attributes: Any) -> Any:
    """A client's context that trusts the CA."""
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pki.ca.file)
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


def server_context(module: ModuleType, identity: Identity, **attributes: Any) -> Any:
    """A server's context with an identity."""
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*identity.files)
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


@dataclass
class Outcome:
    """What two ends gave: what their functions returned, or what was raised."""

    client: Any
    server: Any


Act = Callable[[Any], Any]


def meet(
    client: Any,
    server: Any,
    visit: Act = lambda connection: None,
    serve: Act = lambda connection: None,
    server_hostname: Optional[str] = "server.test",
    session: Any = None,
    **wrap: Any,
) -> Outcome:
    """Two contexts meet over TCP; the functions get the connections after the handshake."""
    outcome = Outcome(None, None)

    def run_server() -> None:
        with listener.accept()[0] as sock:
            sock.settimeout(PATIENCE)
            outcome.server = attempt(lambda: with_connection(server.wrap_socket(sock, server_side=True, **wrap), serve))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=run_server)
        thread.start()
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as sock:
            outcome.client = attempt(
                lambda: with_connection(client.wrap_socket(sock, server_hostname=server_hostname, session=session, **wrap), visit)
            )
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server hangs"
    return outcome


def succeed(*args: Any, **kwargs: Any) -> Outcome:
    """As `meet`, where neither end may fail."""
    outcome = meet(*args, **kwargs)
    for end in (outcome.client, outcome.server):
        if isinstance(end, BaseException):
            raise end
    return outcome


def with_connection(connection: Any, act: Act) -> Any:
    """Does something with a connection, and closes it."""
    with connection:
        return act(connection)


def attempt(act: Callable[[], Any]) -> Any:
    """What it gives, or raises."""
    try:
        return act()
    except Exception as error:
        return error


def receive(connection: Any, count: int) -> bytes:
    """So many bytes."""
    found = b""
    while len(found) < count and (piece := connection.recv(1 << 16)):
        found += piece
    return found


@pytest.fixture(autouse=True)
def no_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing leaves 127.0.0.1."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] in ("127.0.0.1", "localhost"), f"a test connects to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
