//! Seals the imports that the C library below Rust's standard library brings with it: `wasi:cli`; in rustup's builds also `wasi:io`,
//! by which that library writes to standard streams; and in older builds (Debian's, of 2024) WASI's first preview, which would
//! bring an adapter and with it the file system.
//!
//! The library names them as plain undefined symbols. Defined here, they are no imports any more: the component has no
//! environment, no arguments, no terminal and no standard stream that is open, and an exit is a trap. What the preview has of the
//! clock goes to `wasi:clocks`. What the component imports of `wasi:io` for its own streams has other symbols and stays. `cargo
//! xtask build` and `p3` assert the import lists, and CI does so with both libraries.

#![allow(unsafe_code, reason = "the symbols must have C's names, and one of them writes through C's pointer")]

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};

/// Where the canonical ABI wants a list: a pointer and a length.
#[repr(C)]
struct List {
    pointer: *const u8,
    length: usize,
}

/// Where the canonical ABI wants a `result<u64, stream-error>`, whose value would stand at the error's place.
#[repr(C, align(8))]
struct CheckWrite {
    is_error: u8,
    _padding: [u8; 7],
    error: u8,
    _rest: [u8; 7],
}

/// Where the canonical ABI wants a `result<_, stream-error>`.
#[repr(C, align(4))]
struct Write {
    is_error: u8,
    _padding: [u8; 3],
    error: u8,
    _rest: [u8; 3],
}

/// An environment without variables.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_environment_get_environment(list: &mut List) {
    *list = List::EMPTY;
}

/// No arguments.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_environment_get_arguments(list: &mut List) {
    *list = List::EMPTY;
}

/// There is no process to end.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_exit_exit(_status: i32) -> ! {
    core::arch::wasm32::unreachable()
}

/// No standard stream has a handle: its methods, below, say that it is closed.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stdin_get_stdin() -> i32 {
    NO_HANDLE
}

/// See stdin.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stdout_get_stdout() -> i32 {
    NO_HANDLE
}

/// See stdin.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stderr_get_stderr() -> i32 {
    NO_HANDLE
}

/// Standard input is no terminal.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stdin_get_terminal_stdin(is_some: &mut u8) {
    *is_some = 0;
}

/// Standard output is no terminal.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stdout_get_terminal_stdout(is_some: &mut u8) {
    *is_some = 0;
}

/// Standard error is no terminal.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stderr_get_terminal_stderr(is_some: &mut u8) {
    *is_some = 0;
}

/// There was no terminal to drop.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_input_terminal_input_drop(_handle: i32) {}

/// See input.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_output_terminal_output_drop(_handle: i32) {}

/// Drops an error of a stream, of which there are none: a closed stream has nothing more to say.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_io_error_error_drop(_handle: i32) {}

/// There was no stream to drop.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_input_stream_drop(_handle: i32) {}

/// See input.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_output_stream_drop(_handle: i32) {}

/// The stream is closed.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_check_write(_stream: i32, result: &mut CheckWrite) {
    *result = CheckWrite::CLOSED;
}

/// The stream is closed, and takes nothing.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_write(
    _stream: i32,
    _bytes: *const u8,
    _length: usize,
    result: &mut Write,
) {
    *result = Write::CLOSED;
}

/// The stream is closed.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_blocking_flush(_stream: i32, result: &mut Write) {
    *result = Write::CLOSED;
}

/// A closed stream is ready at once, and so is what would wait for it.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_subscribe(_stream: i32) -> i32 {
    NO_HANDLE
}

/// Returns at once: nothing is waited for but a stream that is closed.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_poll_method_pollable_block(_handle: i32) {}

/// There was no pollable to drop.
#[unsafe(no_mangle)]
extern "C" fn __wasm_import_poll_pollable_drop(_handle: i32) {}

/// No variables, which take no bytes.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_sizes_get(count: &mut usize, bytes: &mut usize) -> i32 {
    (*count, *bytes) = (0, 0);
    SUCCESS
}

/// No variables: nothing is written.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_get(_variables: *mut *mut u8, _bytes: *mut u8) -> i32 {
    SUCCESS
}

/// The time of `wasi:clocks` in nanoseconds.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_time_get(clock: i32, _precision: i64, time: &mut u64) -> i32 {
    *time = match clock {
        REALTIME => {
            let now = wall_clock::now();
            now.seconds * 1_000_000_000 + u64::from(now.nanoseconds)
        }
        MONOTONIC => monotonic_clock::now(),
        _ => return INVALID,
    };
    SUCCESS
}

/// There are no files and no standard streams.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_write(
    _file: i32,
    _vectors: *const u8,
    _count: i32,
    _written: *mut usize,
) -> i32 {
    BAD_FILE
}

/// There is no process to end.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_proc_exit(_status: i32) -> ! {
    core::arch::wasm32::unreachable()
}

impl CheckWrite {
    const CLOSED: Self = Self { is_error: 1, _padding: [0; 7], error: CLOSED, _rest: [0; 7] };
}

impl Write {
    const CLOSED: Self = Self { is_error: 1, _padding: [0; 3], error: CLOSED, _rest: [0; 3] };
}

impl List {
    const EMPTY: Self = Self { pointer: core::ptr::dangling(), length: 0 };
}

/// A handle that no table has.
const NO_HANDLE: i32 = -1;

/// The second case of `stream-error`.
const CLOSED: u8 = 1;

// Numbers of the first preview: clocks and errors.
const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;
const INVALID: i32 = 28;
