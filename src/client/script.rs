//! A scripted peer for tests, whose bytes are written by hand: `|` is NUL, `$` is EOM, `#` is EOS
//! and `~` is an escape byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::Address;

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const HELLO: &str =
    r#"E|Locator|Hello|["ZeroCopy","Locator","Streams","StreamBroker"]|$"#;
/// A peer that has no names for its peers.
pub(crate) const HELLO_ZERO_COPY: &str = r#"E|Locator|Hello|["ZeroCopy","Locator","Streams"]|$"#;
pub(crate) const HELLO_PLAIN: &str = r#"E|Locator|Hello|["Locator","Streams"]|$"#;

fn wire_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for byte in text.bytes() {
        match byte {
            b'|' => bytes.push(0),
            b'$' => bytes.extend_from_slice(&[3, 1]),
            b'#' => bytes.extend_from_slice(&[3, 2]),
            b'~' => bytes.push(3),
            other => bytes.push(other),
        }
    }
    bytes
}

/// The peer's end of a connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
}

impl Peer {
    pub(crate) fn say(&mut self, text: &str) {
        self.socket.write_all(&wire_bytes(text)).unwrap();
    }

    pub(crate) fn say_in_pieces(&mut self, text: &str) {
        for byte in wire_bytes(text) {
            self.socket.write_all(&[byte]).unwrap();
        }
    }

    /// Reads exactly what the client is expected to say.
    pub(crate) fn hear(&mut self, text: &str) {
        let expected = wire_bytes(text);
        let mut heard = vec![0; expected.len()];
        self.socket.read_exact(&mut heard).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&heard).escape_debug().to_string(),
            String::from_utf8_lossy(&expected).escape_debug().to_string()
        );
    }
}

/// Listens, plays `script` for the first client after its Hello, and gives the address.
pub(crate) fn peer(script: impl FnOnce(Peer) + Send + 'static) -> (Address, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer { socket };
        peer.hear(r#"E|Locator|Hello|["ZeroCopy","Locator"]|$"#);
        script(peer);
    });
    (address, thread)
}
