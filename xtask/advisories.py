#!/usr/bin/env python3
"""Asks OSV (https://osv.dev), which has RustSec's, npm's and PyPI's advisories, about every version that the repository's files pin.

    python3 xtask/advisories.py [--osv URL]

Exit code 0: nothing is known, or nobody could be asked, which the last line says. 1: an advisory applies that ACCEPTED does not have.
2: a file can't be read. Notices (a crate that is unmaintained, say) are printed and are no failure.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What applies, and why that is no fault here. An entry that applies no more is told, and goes.
ACCEPTED = {
    "RUSTSEC-2023-0071": "rsa: the time of decryption; nothing here decrypts by RSA, and signatures are blinded and verified",
}

# What another implementation, which is measured beside ours and meets no peer, has under it. It is asked about where anything else pins it.
MEASURED = {
    ("crates.io", name, version): "host-tests/benches/Cargo.lock"
    for name, version in (("rsa", "0.9.10"), ("rustls-webpki", "0.102.8"), ("rand", "0.8.8"))
}

TIMEOUT = 10
MOST_QUERIES = 1000  # OSV's own limit for one request.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--osv", default="https://api.osv.dev", help="another address of OSV's API, for tests")
    osv = parser.parse_args().osv
    try:
        pinned = packages()
    except (OSError, ValueError, KeyError) as error:
        print(f"advisories: {error}")
        return 2
    try:
        found = ask(osv, sorted(pinned))
        details = {name: get(f"{osv}/v1/vulns/{name}") for names in found.values() for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"advisories: left out: {len(pinned)} packages are pinned, and {osv} can't be asked about them: {error}")
        return 0
    return report(pinned, found, details)


def packages():
    """Every (ecosystem, name, version) that is pinned, with the files that do so."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    pinned = {}
    for path in filter(None, listed.split("\0")):
        name = path.rsplit("/", 1)[-1]
        if name == "Cargo.lock":
            found = cargo(ROOT / path)
        elif name == "package-lock.json":
            found = npm(ROOT / path)
        elif name in ("pyproject.toml", "requirements.txt") or path.startswith("xtask/locks/pypi/"):
            found = python(ROOT / path)
        else:
            continue
        for package in found:
            pinned.setdefault(package, []).append(path)
    return pinned


def cargo(path):
    for package in tomllib.loads(path.read_text())["package"]:
        # Those without a source are ours.
        if package.get("source", "").startswith("registry+"):
            yield "crates.io", package["name"], package["version"]


def npm(path):
    for place, package in json.loads(path.read_text())["packages"].items():
        if "node_modules/" in place and "version" in package and not package.get("link"):
            yield "npm", package.get("name", place.rsplit("node_modules/", 1)[1]), package["version"]


def python(path):
    for name, version in re.findall(r"^[^#\n]*?\b([A-Za-z0-9][\w.-]*)==([0-9][\w.]*)", path.read_text(), flags=re.M):
        yield "PyPI", re.sub(r"[-_.]+", "-", name).lower(), version


def ask(osv, packages):
    found = {}
    for at in range(0, len(packages), MOST_QUERIES):
        some = packages[at : at + MOST_QUERIES]
        queries = [{"package": {"ecosystem": place, "name": name}, "version": version} for place, name, version in some]
        results = get(f"{osv}/v1/querybatch", {"queries": queries})["results"]
        if len(results) != len(some):
            raise ValueError(f"{len(results)} answers to {len(some)} questions")
        for package, result in zip(some, results):
            if vulnerabilities := result.get("vulns"):
                found[package] = [vulnerability["id"] for vulnerability in vulnerabilities]
    return found


def get(url, body=None):
    request = urllib.request.Request(url, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def report(pinned, found, details):
    bad, met = 0, set()
    for (place, name, version), advisories in sorted(found.items()):
        told = set()
        measured = pinned[place, name, version] == [MEASURED.get((place, name, version))]
        for advisory in advisories:
            detail = details[advisory]
            names = {advisory, *detail.get("aliases", [])}
            # A withdrawn one applies no more. Two databases may have one fault: once is enough.
            if "withdrawn" in detail or names & told:
                continue
            told |= names
            accepted = sorted(names & ACCEPTED.keys())
            met.update(accepted)
            notice = [
                affected["database_specific"]["informational"]
                for affected in detail.get("affected", [])
                if affected.get("database_specific", {}).get("informational")
            ]
            if accepted:
                why = f"accepted: {ACCEPTED[accepted[0]]}"
            elif measured:
                why = "of rustls-rustcrypto, which is only measured"
            else:
                why = f"notice: {notice[0]}" if notice else None
            bad += why is None
            where = ", ".join(pinned[place, name, version])
            print(f"advisories: {name} {version} ({where}): {advisory}: {detail.get('summary', '')}" + (f" ({why})" if why else ""))
    for name in sorted(ACCEPTED.keys() - met):
        print(f"advisories: {name} applies to nothing here any more: take it out of ACCEPTED in xtask/advisories.py")
    print(f"advisories: {len(pinned)} packages, {bad} with a known fault")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
