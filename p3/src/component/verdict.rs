//! The future that tells how a direction of a connection ended.
//!
//! The writing end of a future has to be written to before it is dropped, and wit-bindgen 0.61 does so only within an asynchronous task:
//! elsewhere it panics (issues 1456 and 1610 of wit-bindgen). But a connection can be dropped before its handshake, and a direction
//! set up twice, in which case there is no task. See [`outside_of_tasks`].

#![allow(unsafe_code, reason = "a task for wit-bindgen is a structure of its C ABI")]

use std::ffi::c_void;
use std::ptr;

use wit_bindgen::FutureWriter;

/// Tells how a direction ended: by [`tell`](Self::tell), or by the future's default when it is dropped.
pub(super) struct Verdict<T: 'static>(Option<FutureWriter<T>>);

impl<T> Verdict<T> {
    /// The writing end of a future whose default says that the connection was given up.
    pub(super) fn new(writer: FutureWriter<T>) -> Self {
        Self(Some(writer))
    }

    /// Tells it, and waits until it was read or nobody can read it any more. Only within a task.
    pub(super) async fn tell(mut self, outcome: T) {
        if let Some(writer) = self.0.take() {
            // Whoever dropped the reading end does not want to know.
            let _ = writer.write(outcome).await;
        }
    }
}

impl<T> Drop for Verdict<T> {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take() {
            outside_of_tasks(|| drop(writer));
        }
    }
}

/// Does something that may start a write, where there is no task to wait for its end.
///
/// For that time wit-bindgen has a task that forgets what it is given to wait for. The write goes on by itself: its value stays in memory,
/// where the reading end finds it. Nobody hears of its end, so it is never freed: some hundred bytes and a handle for each
/// future that was not told, which only the user of a connection can bring about, never the peer.
fn outside_of_tasks(start: impl FnOnce()) {
    let mut task = Task {
        version: VERSION,
        data: ptr::null_mut(),
        register: forget_waitable,
        unregister: forget_registration,
        vtable: &VTABLE,
    };
    // SAFETY: the structure is what the C ABI of wit-bindgen calls `wasip3_task_v2`, and outlives its use: clones of it are only the
    // pointer `data`, which is not followed, and the table, which is static.
    let before = unsafe { wasip3_task_set(&raw mut task) };
    start();
    // SAFETY: the pointer was the current one before.
    unsafe { wasip3_task_set(before) };
}

/// `wasip3_task_v2` of wit-bindgen's `rt/async_support/cabi.rs`.
#[repr(C)]
struct Task {
    version: u32,
    data: *mut c_void,
    register: Register,
    unregister: Unregister,
    vtable: &'static Vtable,
}

/// `wasip3_task_vtable`, likewise.
#[repr(C)]
struct Vtable {
    register: Register,
    unregister: Unregister,
    clone: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    drop: unsafe extern "C" fn(*mut c_void),
}

type Register =
    unsafe extern "C" fn(*mut c_void, u32, unsafe extern "C" fn(*mut c_void, u32), *mut c_void) -> *mut c_void;
type Unregister = unsafe extern "C" fn(*mut c_void, u32) -> *mut c_void;

unsafe extern "C" {
    /// Makes this the current task, and gives the one before.
    fn wasip3_task_set(task: *mut Task) -> *mut Task;
}

unsafe extern "C" fn forget_waitable(
    _task: *mut c_void,
    _waitable: u32,
    _callback: unsafe extern "C" fn(*mut c_void, u32),
    _data: *mut c_void,
) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn forget_registration(_task: *mut c_void, _waitable: u32) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn nothing_to_drop(_task: *mut c_void) {}

unsafe extern "C" fn same(task: *mut c_void) -> *mut c_void {
    task
}

/// The version of the C ABI that has [`Vtable`].
const VERSION: u32 = 2;

static VTABLE: Vtable =
    Vtable { register: forget_waitable, unregister: forget_registration, clone: same, drop: nothing_to_drop };
