//! A thread that drives sockets and timers for futures that are polled elsewhere: SMTP's. Names are never looked up there.
//!
//! The futures live on the worker's thread; under [`Driver::handle`] they register their sockets here, and are woken from
//! here. Started only if SMTP is wanted.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub(super) struct Driver {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(super) fn start() -> io::Result<Driver> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("smtp".to_owned()).spawn(move || {
            // Ends when told, or when nobody is left who could tell.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Driver {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Sockets and timers that are made while it is entered belong to the driver.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it was printed
        }
    }
}
