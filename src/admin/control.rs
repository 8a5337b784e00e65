//! The thread `weir-control`.

use std::io;
use std::net::TcpListener;
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::admin::bounded::{Bounded, Peer};
use crate::admin::guard::Guard;
use crate::admin::routes::{State, router};
use crate::inside::Workers;
use crate::time::Clock;

/// What the answers say beside the workers' numbers.
#[derive(Clone, Debug)]
pub struct About {
    /// The broker's name.
    pub name: String,
    /// The host that HTTP was told to listen on, as the operator wrote it.
    pub host: String,
    /// Started with the broker.
    pub clock: Clock,
}

/// The running control thread.
#[derive(Debug)]
pub struct Control {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Serves HTTP on `listener` (which does not block).
    ///
    /// # Errors
    /// What the system says.
    pub fn start(listener: TcpListener, workers: Workers, about: About) -> io::Result<Control> {
        let guard = Guard::new(listener.local_addr()?.ip(), &about.host);
        let state = State::new(workers, about);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = Builder::new().name("weir-control".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => Bounded::new(listener),
                    Err(error) => {
                        error!(%error, "HTTP is not served");
                        return;
                    }
                };
                let service = router(state, guard).into_make_service_with_connect_info::<Peer>();
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, service).await {
                        warn!(%error, "HTTP is no longer served");
                    }
                });
                // Sent, or dropped with its owner: either way it is over. The runtime's end drops
                // every connection, so that none can hold the server up.
                let _ = stopped.await;
            });
        })?;
        Ok(Control { stop, thread })
    }

    /// Ends the thread and its connections.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            error!("the control thread panicked");
        }
    }
}
