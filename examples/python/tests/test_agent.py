"""The agent of the host tests carries out orders: two of them meet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import Certificates

AGENT = Path(__file__).resolve().parents[1] / "test/agent.py"


class Agent:
    """A running agent."""

    def __init__(self) -> None:
        self.program = subprocess.Popen([sys.executable, str(AGENT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, **order: Any) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(json.dumps(order) + "\n")
        self.program.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.program.stdout is not None
        return json.loads(self.program.stdout.readline())  # type: ignore[no-any-return]

    def end(self) -> int:
        """Ends its input, and gives its exit status."""
        assert self.program.stdin is not None
        self.program.stdin.close()
        return self.program.wait(10)


@pytest.fixture
def agents() -> Iterator[tuple[Agent, Agent]]:
    client, server = Agent(), Agent()
    yield client, server
    assert (client.end(), server.end()) == (0, 0)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(
    ("client_turn", "server_turn"), [("WhenAllCame", "AfterPeer"), ("First", "Second"), ("Second", "First"), ("Silent", "First")]
)
def test_two_agents(agents: tuple[Agent, Agent], pki: Certificates, version: str, client_turn: str, server_turn: str) -> None:
    count = 1 << 20
    common = {
        "crls": None,
        "allowPartialTrustChain": False,
        "minVersion": version,
        "maxVersion": version,
        "ciphers": None,
        "groups": None,
        "servername": "server.test",
        "alpn": ["h2"],
        "requestCert": True,
        "rejectUnauthorized": True,
        "bytes": count,
        "connections": 2,
        "roots": [Path(pki.ca.file).read_text()],
    }
    client, server = agents
    server.say(id=1, order="listen", setup={**common, **identity(pki.server), "turn": server_turn})
    port = server.hear()["port"]
    client.say(id=2, order="connect", setup={**common, **identity(pki.client), "turn": client_turn}, port=port)
    seen, other = client.hear(), server.hear()
    assert (seen.pop("id"), other.pop("id")) == (2, 1)
    mine, theirs = seen["report"], other["report"]
    for report in (mine, theirs):
        assert report["failure"] is None
        assert report["ended"] is True
        assert report["protocol"] == version
        assert report["alpn"] == "h2"
        assert report["authorized"] is True
        assert report["resumed"] is True
        assert report["servername"] == "server.test"
    assert (mine["peerSubject"], theirs["peerSubject"]) == ("server.test", "client.test")
    assert (mine["exporter"], mine["suite"]) == (theirs["exporter"], theirs["suite"])
    assert (mine["sent"], theirs["sent"]) == (theirs["received"], mine["received"])
    assert mine["sent"]["bytes"] == (0 if client_turn == "Silent" else count)
    assert theirs["sent"]["bytes"] == count


def test_failures_and_faults(agents: tuple[Agent, Agent], pki: Certificates) -> None:
    client, server = agents
    setup = dict.fromkeys(("roots", "crls", "allowPartialTrustChain", "ciphers", "groups", "requestCert", "certificate"))
    setup |= {"minVersion": "TLSv1.2", "maxVersion": "TLSv1.3", "servername": "server.test", "alpn": [], "turn": "First", "bytes": 1}
    setup |= {"rejectUnauthorized": True}
    server.say(id=1, order="listen", setup={**setup, **identity(pki.server)})
    client.say(id=2, order="connect", setup=setup, port=server.hear()["port"])
    assert client.hear()["report"]["failure"]["code"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    failure = server.hear()["report"]["failure"]
    assert (failure["reason"], failure["alert"]) == ("tlsv1 alert unknown ca", 48)
    client.say(id=3, order="connect", setup={**setup, "ciphers": "NONSENSE"}, port=1)
    assert "no cipher match" in client.hear()["fault"]


def identity(identity: Any) -> dict[str, str]:
    """In the words of a setup."""
    return {"certificate": Path(identity.chain).read_text(), "key": Path(identity.key_file).read_text()}
