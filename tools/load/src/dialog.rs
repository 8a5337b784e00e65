//! Talking to a server in lines before the load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use weir::bench::{BenchError, Intake, Opened};

/// How long the server may take for each answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that an answer may have.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A blocking connection.
#[derive(Debug)]
pub struct Dialog {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Dialog {
    /// Connects.
    ///
    /// # Errors
    /// What went wrong.
    pub fn connect(address: SocketAddr) -> Result<Dialog, BenchError> {
        let unreachable = |error| BenchError::Unreachable { address: address.to_string(), error };
        let socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(unreachable)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Dialog { socket, received: Vec::new() })
    }

    /// Says something.
    ///
    /// # Errors
    /// What went wrong.
    pub fn say(&mut self, text: &[u8]) -> Result<(), BenchError> {
        Ok(self.socket.write_all(text)?)
    }

    /// Waits until the server has said `text`, and forgets everything up to its end.
    ///
    /// # Errors
    /// What went wrong.
    pub fn hear(&mut self, text: &[u8]) -> Result<(), BenchError> {
        loop {
            let found = self.received.windows(text.len()).position(|part| part == text);
            if let Some(at) = found {
                self.received.drain(..at + text.len());
                return Ok(());
            }
            let mut buf = [0; 4096];
            let count = self.socket.read(&mut buf)?;
            if count == 0 || self.received.len() > ANSWER_BYTES_MAX {
                return Err(BenchError::Misbehaved(format!(
                    "waited for {}, got {}",
                    text.escape_ascii(),
                    self.received.escape_ascii()
                )));
            }
            self.received.extend_from_slice(&buf[..count]);
        }
    }

    /// Another handle to the same connection.
    ///
    /// # Errors
    /// What went wrong.
    pub fn another_handle(&self) -> Result<TcpStream, BenchError> {
        Ok(self.socket.try_clone()?)
    }

    /// The connection for the load.
    pub fn into_opened(self, intake: Box<dyn Intake>) -> Opened {
        Opened { socket: self.socket, received: self.received, first: Vec::new(), intake }
    }
}
