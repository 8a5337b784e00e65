//! What the two halves of a connection share: the socket, what waits to be sent, the calls under
//! way.

use std::io::{self, IoSlice, Write};
use std::mem;
use std::net::{Shutdown, TcpStream};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::client::CallId;
use crate::client::reply::ReplyForm;
use crate::wire::{MessageWriter, Output};

/// Pieces handed to the system in one `writev`.
const SLICES_MAX: usize = 64;

/// A connection's shared part. Lock order: `sending`, then `outgoing`.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: TcpStream,
    outgoing: Mutex<Outgoing>,
    /// Held while bytes go to the socket, so that they go in order.
    sending: Mutex<()>,
}

#[derive(Debug, Default)]
struct Outgoing {
    output: Output,
    zero_copy: bool,
    /// Set once our end of stream is in `output`: nothing may follow it.
    is_ended: bool,
    last_call: u64,
    calls: FxHashMap<u64, Call>,
}

/// A command whose reply has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) command: &'static str,
    pub(super) form: ReplyForm,
}

impl Link {
    pub(super) fn new(socket: TcpStream) -> Link {
        Link { socket, outgoing: Mutex::default(), sending: Mutex::default() }
    }

    /// Says whether the peer understands BIN blocks and `(N)` data.
    pub(super) fn set_zero_copy(&self, zero_copy: bool) {
        self.outgoing.lock().zero_copy = zero_copy;
    }

    /// Queues a command, `Service.name`, whose arguments `arguments` adds. Nothing is sent yet.
    pub(super) fn call(
        &self,
        command: &'static str,
        form: ReplyForm,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> CallId {
        let (service, name) = command.split_once('.').expect("commands are Service.name");
        let mut outgoing = self.outgoing.lock();
        let outgoing = &mut *outgoing;
        outgoing.last_call += 1;
        let id = outgoing.last_call;
        if !outgoing.is_ended {
            outgoing.calls.insert(id, Call { command, form });
            let mut digits = itoa::Buffer::new();
            let token = digits.format(id).as_bytes();
            let message = MessageWriter::command(
                &mut outgoing.output,
                outgoing.zero_copy,
                token,
                service,
                name,
            );
            arguments(message).end();
        }
        CallId(id)
    }

    /// Queues anything but a command: `message` is given the output and whether the peer knows
    /// ZeroCopy.
    pub(super) fn queue(&self, message: impl FnOnce(&mut Output, bool)) {
        let mut outgoing = self.outgoing.lock();
        if !outgoing.is_ended {
            let zero_copy = outgoing.zero_copy;
            message(&mut outgoing.output, zero_copy);
        }
    }

    /// Forgets a call whose reply is here. `None`: no such call is under way.
    pub(super) fn take_call(&self, token: &[u8]) -> Option<(CallId, Call)> {
        let id = std::str::from_utf8(token).ok()?.parse().ok()?;
        let call = self.outgoing.lock().calls.remove(&id)?;
        Some((CallId(id), call))
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
                let mut output = mem::take(&mut self.outgoing.lock().output);
                if output.is_empty() {
                    break;
                }
                send_all(&self.socket, &mut output)?;
            }
            drop(sending);
            // What was queued after the last look, by someone who saw us busy, is ours to send.
            if self.outgoing.lock().output.is_empty() {
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
        {
            let mut outgoing = self.outgoing.lock();
            if !outgoing.is_ended {
                MessageWriter::end_of_stream(&mut outgoing.output, None);
                outgoing.is_ended = true;
            }
        }
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
