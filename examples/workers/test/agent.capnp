# The Worker of the tests. Its ports are free ones, and workerd says by `--control-fd` which.

using Workerd = import "/workerd/workerd.capnp";
using Tls = import "../guest-tls.capnp";

const config :Workerd.Config = (
  services = [
    (name = "agent", worker = .agent),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [
    (name = "orders", address = "127.0.0.1:0", http = (), service = "agent"),
    (name = "tls1", address = "127.0.0.1:0", tcp = (), service = "agent"),
    (name = "tls2", address = "127.0.0.1:0", tcp = (), service = "agent"),
    (name = "tls3", address = "127.0.0.1:0", tcp = (), service = "agent"),
    (name = "tls4", address = "127.0.0.1:0", tcp = (), service = "agent"),
  ],
);

const agent :Workerd.Worker = (
  modules = [
    # Bare names are looked for beside the module that imports them, so this one lies where the package does.
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "tls.mjs", esModule = embed "../tls.mjs"),
    Tls.web, Tls.connection, Tls.context, Tls.guest, Tls.wasi, Tls.errors, Tls.bytes, Tls.component, Tls.core, Tls.core2, Tls.core3,
  ],
  compatibilityDate = "2026-11-01",
);
