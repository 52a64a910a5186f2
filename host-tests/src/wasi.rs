//! What a guest that is not the product has of WASI: whatever its context gives it. The product itself gets less: see [`host`].

use std::path::{Path, PathBuf};

use anyhow::Result;
use wasmtime::Store;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::host::{self, error};

/// The state of such a guest's store.
pub struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    /// With this context, and no resources yet.
    pub fn new(ctx: WasiCtx) -> Wasi {
        Wasi { ctx, table: ResourceTable::new() }
    }
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

/// What an instance is made of.
pub struct Parts {
    /// Where it will live.
    pub store: Store<Wasi>,
    /// The component, compiled.
    pub component: Component,
    /// All of WASI 0.2, synchronous.
    pub linker: Linker<Wasi>,
}

/// Compiles the component in this file, for an instance that may write to standard error and has no files and no network.
pub fn load(path: &Path) -> Result<Parts> {
    let engine = host::engine()?;
    let component = Component::from_file(&engine, path).map_err(error)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(error)?;
    let store = Store::new(&engine, Wasi::new(WasiCtx::builder().inherit_stderr().build()));
    Ok(Parts { store, component, linker })
}

/// A wasip2 command, compiled, for any number of runs.
pub struct Program {
    component: Component,
    linker: Linker<Wasi>,
}

/// What a command did that was run by [`Program::output`].
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: u8,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Program {
    /// Compiles the command in this file.
    pub fn load(path: &Path) -> Result<Program> {
        let engine = host::engine()?;
        let component = Component::from_file(&engine, path).map_err(error)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(error)?;
        Ok(Program { component, linker })
    }

    /// Runs the command to its end and gives its exit code.
    pub async fn run(&self, ctx: WasiCtx) -> Result<u8> {
        let mut store = Store::new(self.component.engine(), Wasi::new(ctx));
        let command = Command::instantiate_async(&mut store, &self.component, &self.linker).await.map_err(error)?;
        match command.wasi_cli_run().call_run(&mut store).await {
            Ok(Ok(())) => Ok(0),
            Ok(Err(())) => Ok(1),
            Err(trap) => match trap.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(exit.0 as u8),
                None => Err(error(trap)),
            },
        }
    }

    /// Runs the command with these arguments, after its name. It may read these folders, which are paths of its own, connect to
    /// 127.0.0.1 and look up names, and no more. At most 64 MiB of each of its outputs are kept.
    pub async fn output(&self, folders: &[(PathBuf, &str)], arguments: &[&str]) -> Result<Output> {
        let (stdout, stderr) = (MemoryOutputPipe::new(OUTPUT_LIMIT), MemoryOutputPipe::new(OUTPUT_LIMIT));
        let mut builder = WasiCtx::builder();
        builder.stdout(stdout.clone()).stderr(stderr.clone()).arg("command").args(arguments);
        builder.allow_tcp(true).allow_ip_name_lookup(true).socket_addr_check(|address, usage| {
            let allowed = match usage {
                SocketAddrUse::TcpConnect => address.ip().is_loopback(),
                // Whoever connects is bound to a port first.
                SocketAddrUse::TcpBind => address.port() == 0,
                _ => false,
            };
            Box::pin(async move { allowed })
        });
        for (folder, name) in folders {
            builder.preopened_dir(folder, name, FsPerms::ReadOnly).map_err(error)?;
        }
        let code = self.run(builder.build()).await?;
        let stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        Ok(Output { code, stdout: stdout.contents().to_vec(), stderr })
    }
}

const OUTPUT_LIMIT: usize = 64 << 20;
