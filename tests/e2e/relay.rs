//! A TCP relay that breaks its connections, each after a number of bytes that was chosen
//! beforehand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::PATIENCE;

/// How often a direction whose receiver does not read looks whether the connection is broken.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// When and how one connection breaks.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// After so many bytes, both directions together.
    pub after: u64,
    pub how: How,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both sides get an RST.
    Reset,
    /// Both sides get a FIN.
    Finish,
    /// The client gets a FIN; the broker notices nothing until the next connection breaks or the
    /// relay goes.
    ClientOnly,
}

/// The relay; connections beyond those that break are left alone.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of the connections to come, the last first.
    breaks: Vec<Break>,
    broken: usize,
    /// Broker sides that have not noticed.
    unnoticed: Vec<TcpStream>,
}

/// One connection: what both directions count down together.
#[derive(Debug)]
struct Cable {
    plan: Option<Break>,
    left: u64,
    is_broken: bool,
}

impl Relay {
    /// A relay to `target` whose connections break as told, in this order.
    pub fn start(target: SocketAddr, mut breaks: Vec<Break>) -> Relay {
        breaks.reverse();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = State { breaks, broken: 0, unnoticed: Vec::new() };
        let shared =
            Arc::new(Shared { target, is_over: AtomicBool::new(false), state: Mutex::new(state) });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.is_over.load(Ordering::Acquire) {
                    return;
                }
                accepting.connect(client.expect("a connection"));
            }
        });
        Relay { address, shared, acceptor: Some(acceptor) }
    }

    /// The address as `--broker` takes it.
    pub fn broker(&self) -> String {
        self.address.to_string()
    }

    /// How many connections it has broken.
    pub fn broken(&self) -> usize {
        self.shared.lock().broken
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the acceptor.
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the relay")
    }

    fn connect(self: &Arc<Shared>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect_timeout(&self.target, PATIENCE) else {
            return reset(&client);
        };
        for socket in [&client, &broker] {
            socket.set_nodelay(true).expect("a socket option");
            socket.set_write_timeout(Some(LOOK_EVERY)).expect("a socket option");
        }
        let plan = self.lock().breaks.pop();
        let left = plan.map_or(u64::MAX, |plan| plan.after);
        let cable = Arc::new(Mutex::new(Cable { plan, left, is_broken: false }));
        let clone = |socket: &TcpStream| socket.try_clone().expect("a second handle");
        for (from, to) in [(clone(&client), clone(&broker)), (broker, client)] {
            let (shared, cable) = (Arc::clone(self), Arc::clone(&cable));
            let is_from_client = from.peer_addr().ok() != Some(self.target);
            std::thread::spawn(move || shared.copy(&cable, from, to, is_from_client));
        }
    }

    fn copy(
        &self,
        cable: &Mutex<Cable>,
        mut from: TcpStream,
        mut to: TcpStream,
        from_client: bool,
    ) {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            let (allowed, plan) = {
                let mut cable = cable.lock().expect("nobody panics with the cable");
                let allowed = cable.left.min(read as u64);
                cable.left -= allowed;
                let is_due = cable.left == 0 && !cable.is_broken;
                cable.is_broken |= is_due;
                (allowed as usize, cable.plan.filter(|_| is_due))
            };
            // Not under the lock: a side that does not read must not stop the other direction.
            let written = write(&mut to, &buffer[..allowed], cable, plan.is_some());
            if let Some(plan) = plan {
                let (client, broker) = if from_client { (&from, &to) } else { (&to, &from) };
                self.break_off(plan.how, client, broker);
                return;
            }
            if !written || allowed < read {
                break;
            }
        }
        let is_broken = cable.lock().expect("nobody panics with the cable").is_broken;
        if !is_broken {
            // A regular end of one direction.
            to.shutdown(Shutdown::Write).ok();
        }
    }

    fn break_off(&self, how: How, client: &TcpStream, broker: &TcpStream) {
        let mut state = self.lock();
        state.broken += 1;
        for old in state.unnoticed.drain(..) {
            reset(&old);
        }
        match how {
            How::Finish => {
                client.shutdown(Shutdown::Both).ok();
                broker.shutdown(Shutdown::Both).ok();
            }
            How::Reset => {
                reset(client);
                reset(broker);
            }
            How::ClientOnly => {
                // The other direction holds the client's socket until the broker notices, so this
                // is a FIN.
                client.shutdown(Shutdown::Both).ok();
                state.unnoticed.push(broker.try_clone().expect("a second handle"));
            }
        }
    }
}

/// Writes all of it, unless the connection is broken meanwhile; the one who breaks it writes its
/// last bytes if they fit. Whether all was written.
fn write(to: &mut TcpStream, mut bytes: &[u8], cable: &Mutex<Cable>, is_last: bool) -> bool {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if is_last || cable.lock().expect("nobody panics with the cable").is_broken {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

/// Makes the peer see an RST, as soon as the last handle of the socket is dropped: no FIN goes
/// before it.
fn reset(socket: &TcpStream) {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).ok();
    // Wakes who reads from it, and tells the peer nothing.
    socket.shutdown(Shutdown::Read).ok();
}
