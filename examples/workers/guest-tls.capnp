# The modules of the npm package guest-tls, for the `modules` of a Worker. Their names are the package's, so that imports read as in Node.

@0xd1f0a1c27c0f5a3e;

using Workerd = import "/workerd/workerd.capnp";

const web :Workerd.Worker.Module =
  (name = "guest-tls/core/web.mjs", esModule = embed "node_modules/guest-tls/lib/core/web.mjs");
const connection :Workerd.Worker.Module =
  (name = "guest-tls/core/connection.mjs", esModule = embed "node_modules/guest-tls/lib/core/connection.mjs");
const context :Workerd.Worker.Module =
  (name = "guest-tls/core/context.mjs", esModule = embed "node_modules/guest-tls/lib/core/context.mjs");
const guest :Workerd.Worker.Module =
  (name = "guest-tls/core/guest.mjs", esModule = embed "node_modules/guest-tls/lib/core/guest.mjs");
const wasi :Workerd.Worker.Module =
  (name = "guest-tls/core/wasi.mjs", esModule = embed "node_modules/guest-tls/lib/core/wasi.mjs");
const errors :Workerd.Worker.Module =
  (name = "guest-tls/core/errors.mjs", esModule = embed "node_modules/guest-tls/lib/core/errors.mjs");
const bytes :Workerd.Worker.Module =
  (name = "guest-tls/core/bytes.mjs", esModule = embed "node_modules/guest-tls/lib/core/bytes.mjs");
const component :Workerd.Worker.Module =
  (name = "guest-tls/component/guest-tls.js", esModule = embed "node_modules/guest-tls/lib/component/guest-tls.js");
const core :Workerd.Worker.Module =
  (name = "guest-tls/component/guest-tls.core.wasm", wasm = embed "node_modules/guest-tls/lib/component/guest-tls.core.wasm");
const core2 :Workerd.Worker.Module =
  (name = "guest-tls/component/guest-tls.core2.wasm", wasm = embed "node_modules/guest-tls/lib/component/guest-tls.core2.wasm");
const core3 :Workerd.Worker.Module =
  (name = "guest-tls/component/guest-tls.core3.wasm", wasm = embed "node_modules/guest-tls/lib/component/guest-tls.core3.wasm");
