"""What all checks use: the manifests of this folder as data, and programs."""

import configparser
import contextlib
import pathlib
import re
import shlex
import shutil
import subprocess

import yaml

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
ROTATE = HERE / "rotate-ticket-keys"
RUN = HERE / "run-until-term"


def systemd_command():
    return shlex.split(unit("guest-tls.service")["Service"]["ExecStart"].replace("\\\n", " "))


def unit(name):
    text = (HERE / "systemd" / name).read_text().replace("\\\n", " ")
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    parser.read_string(text)
    return parser


def kubernetes():
    return list(yaml.safe_load_all((HERE / "kubernetes" / "guest-tls.yaml").read_text()))


def pod_and_container():
    pod = kubernetes()[1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def containerfiles():
    return sorted((HERE / "image").glob("Containerfile*"))


def option(command, name):
    """The value of an option, in one word or in two."""
    for index, word in enumerate(command):
        if word == name:
            return command[index + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
    raise AssertionError(f"{shlex.join(command)} has no {name}")


def set_option(command, name, value):
    for index, word in enumerate(command):
        if word == name:
            command[index + 1] = value
        elif word.startswith(name + "="):
            command[index] = f"{name}={value}"


def memory_size(command):
    """The limit of a linear memory, in bytes."""
    return int(re.search(r"max-memory-size=(\d+)", " ".join(command))[1])


def size(text):
    """Bytes, as systemd and Kubernetes write them."""
    number, unit = re.fullmatch(r"(\d+)([KMG])i?", text).groups()
    return int(number) << {"K": 10, "M": 20, "G": 30}[unit]


@contextlib.contextmanager
def ended(process):
    """Ends a process that this started, whatever happens: first as its users would, which ends the program behind the script as well."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def tool(name, how):
    found = shutil.which(name)
    if not found:
        raise AssertionError(f"there is no {name}: {how}")
    return found
