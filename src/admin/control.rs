//! The thread `weir-control`.

use std::io;
use std::net::TcpListener;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::admin::guard::Guard;
use crate::admin::routes::{State, routers};
use crate::admin::serving::Serving;
use crate::inside::Workers;
use crate::time::Clock;

/// How long HTTP clients may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, from the connection's begin or from the end of the last answer: so
    /// this is also how long a connection may be idle.
    pub head: Duration,
    /// Between two pieces of a body whose length is known, while it is waited for.
    pub body: Duration,
}

impl Default for Timeouts {
    /// People type requests in less, and a client that keeps its connection open for longer
    /// connects again.
    fn default() -> Timeouts {
        Timeouts { head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// What the answers say beside the workers' numbers.
#[derive(Clone, Debug)]
pub struct About {
    /// The broker's name.
    pub name: String,
    /// The host that HTTP was told to listen on, as the operator wrote it.
    pub host: String,
    /// Started with the broker.
    pub clock: Clock,
    /// Until they are changed.
    pub timeouts: Timeouts,
}

/// The running control thread.
#[derive(Debug)]
pub struct Control {
    stop: oneshot::Sender<()>,
    timeouts: watch::Sender<Timeouts>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Serves HTTP on `listener` (which does not block).
    ///
    /// # Errors
    /// What the system says.
    pub fn start(listener: TcpListener, workers: Workers, about: About) -> io::Result<Control> {
        let guard = Guard::new(listener.local_addr()?.ip(), &about.host);
        let (timeouts, to_requests) = watch::channel(about.timeouts);
        let to_connections = to_requests.clone();
        let state = State::new(workers, about, to_requests);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = Builder::new().name("weir-control".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => {
                        error!(%error, "HTTP is not served");
                        return;
                    }
                };
                let routers = routers(state, guard);
                tokio::spawn(Serving::new(listener, routers, to_connections).run());
                // Sent, or dropped with its owner: either way it is over. The runtime's end drops
                // every connection, so that none can hold the server up.
                let _ = stopped.await;
            });
        })?;
        Ok(Control { stop, timeouts, thread })
    }

    /// From now on, for connections and requests that begin then.
    pub fn change(&self, timeouts: Timeouts) {
        self.timeouts.send_replace(timeouts);
    }

    /// Ends the thread and its connections.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            error!("the control thread panicked");
        }
    }
}
