//! What the two halves of a connection share: the socket, and the half of the endpoint that speaks.

use std::io::{self, IoSlice, Write};
use std::mem;
use std::net::{Shutdown, TcpStream};

use parking_lot::Mutex;

use crate::client::commands::Call;
use crate::client::incoming::{Decoded, interpret};
use crate::endpoint::{Heard, Outbound};
use crate::wire::{Output, WireError};

/// Pieces handed to the system in one `writev`.
const SLICES_MAX: usize = 64;

/// A connection's shared part. Lock order: `sending`, then `outbound`.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) socket: TcpStream,
    outbound: Mutex<Outbound<Call>>,
    /// Held while bytes go to the socket, so that they go in order.
    sending: Mutex<()>,
}

impl Joint {
    pub(super) fn new(socket: TcpStream, outbound: Outbound<Call>) -> Joint {
        Joint { socket, outbound: Mutex::new(outbound), sending: Mutex::new(()) }
    }

    /// Queues what `say` says. Nothing is sent yet.
    pub(super) fn queue<T>(&self, say: impl FnOnce(&mut Outbound<Call>) -> T) -> T {
        say(&mut self.outbound.lock())
    }

    /// Takes in what was heard; an answer to it is queued.
    pub(super) fn interpret(&self, heard: Heard<'_>) -> Result<Decoded, WireError> {
        interpret(heard, &mut self.outbound.lock())
    }

    /// Sends what is queued, waiting as long as the peer does not read.
    pub(super) fn flush(&self) -> io::Result<()> {
        let sending = self.sending.lock();
        self.send(sending)
    }

    /// Sends what is queued, unless somebody is sending, who will then see to it. For the receiving
    /// half, which must not wait for the peer to read.
    pub(super) fn flush_unless_busy(&self) -> io::Result<()> {
        match self.sending.try_lock() {
            Some(sending) => self.send(sending),
            None => Ok(()),
        }
    }

    fn send<'a>(&'a self, mut sending: parking_lot::MutexGuard<'a, ()>) -> io::Result<()> {
        loop {
            loop {
                let mut output = mem::take(&mut self.outbound.lock().output);
                if output.is_empty() {
                    break;
                }
                send_all(&self.socket, &mut output)?;
            }
            drop(sending);
            // What was queued after the last look, by someone who saw us busy, is ours to send.
            if self.outbound.lock().output.is_empty() {
                return Ok(());
            }
            match self.sending.try_lock() {
                Some(again) => sending = again,
                None => return Ok(()),
            }
        }
    }

    /// Says end of stream and half-closes. Commands after it are not sent.
    pub(super) fn end(&self) -> io::Result<()> {
        self.outbound.lock().end(None);
        self.flush()?;
        self.socket.shutdown(Shutdown::Write)
    }
}

fn send_all(mut socket: &TcpStream, output: &mut Output) -> io::Result<()> {
    while !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = output.fill_slices(&mut slices);
        match socket.write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => output.advance(sent),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
