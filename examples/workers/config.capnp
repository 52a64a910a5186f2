# Two Workers that speak TLS: `npx workerd serve config.capnp`, with the environment that README.md names.

using Workerd = import "/workerd/workerd.capnp";
using Tls = import "guest-tls.capnp";

const config :Workerd.Config = (
  services = [
    (name = "client", worker = .client),
    (name = "server", worker = .server),
    # Workers may not reach private addresses otherwise.
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [
    (name = "client", address = "127.0.0.1:8080", http = (), service = "client"),
    (name = "server", address = "127.0.0.1:8443", tcp = (), service = "server"),
  ],
);

const client :Workerd.Worker = (
  modules = [
    (name = "client.mjs", esModule = embed "client.mjs"),
    (name = "tls.mjs", esModule = embed "tls.mjs"),
    Tls.web, Tls.connection, Tls.context, Tls.guest, Tls.wasi, Tls.errors, Tls.bytes, Tls.component, Tls.core, Tls.core2, Tls.core3,
  ],
  bindings = [
    (name = "TARGET", fromEnvironment = "TARGET"),
    (name = "SERVERNAME", fromEnvironment = "SERVERNAME"),
    (name = "TLS_CA", fromEnvironment = "CLIENT_CA"),
    (name = "TLS_CERT", fromEnvironment = "CLIENT_CERT"),
    (name = "TLS_KEY", fromEnvironment = "CLIENT_KEY"),
  ],
  compatibilityDate = "2026-11-01",
);

const server :Workerd.Worker = (
  modules = [
    (name = "server.mjs", esModule = embed "server.mjs"),
    (name = "tls.mjs", esModule = embed "tls.mjs"),
    Tls.web, Tls.connection, Tls.context, Tls.guest, Tls.wasi, Tls.errors, Tls.bytes, Tls.component, Tls.core, Tls.core2, Tls.core3,
  ],
  bindings = [
    (name = "TLS_CLIENT_AUTH", fromEnvironment = "SERVER_CLIENT_AUTH"),
    (name = "TLS_CA", fromEnvironment = "SERVER_CA"),
    (name = "TLS_CERT", fromEnvironment = "SERVER_CERT"),
    (name = "TLS_KEY", fromEnvironment = "SERVER_KEY"),
  ],
  compatibilityDate = "2026-11-01",
);
