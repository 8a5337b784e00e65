//! The answer to one command.

use std::cell::Cell;

use crate::id::{Offset, StreamId};
use crate::service::{error_code, error_report, stream_broker};
use crate::stream::{Chunks, Refusal, Reply};
use crate::wire::{Encodings, ErrorReport, MessageWriter, Output, PlainToken, plain_reply};

/// Writes the answer to one command. Used up by it: a command has exactly one.
#[derive(Debug)]
#[must_use]
pub struct Responder<'a> {
    output: &'a mut Output,
    zero_copy: bool,
    token: &'a [u8],
    unix_ms: u64,
    errors: Option<&'a Cell<u64>>,
}

impl<'a> Responder<'a> {
    /// Answers the command with this `token`. `zero_copy` says what the peer understands, `unix_ms`
    /// is the time for error reports.
    pub fn new(
        output: &'a mut Output,
        zero_copy: bool,
        token: &'a [u8],
        unix_ms: u64,
    ) -> Responder<'a> {
        Responder { output, zero_copy, token, unix_ms, errors: None }
    }

    /// Counts there if the answer is an error.
    pub fn counting(self, errors: &'a Cell<u64>) -> Responder<'a> {
        Responder { errors: Some(errors), ..self }
    }

    /// Begins the reply, for answers that need no error report.
    pub fn begin(self) -> MessageWriter<'a> {
        MessageWriter::reply(self.output, self.zero_copy, self.token)
    }

    /// Begins the reply with an error report.
    pub fn begin_with_error(self, code: u16, text: &str) -> MessageWriter<'a> {
        let report = self.report(code, text);
        self.begin().error(Some(&report))
    }

    /// Begins a `Streams.read` reply that fails: no data, then the error report.
    pub fn begin_read_with_error(self, code: u16, text: &str) -> MessageWriter<'a> {
        let report = self.report(code, text);
        self.begin().null().error(Some(&report))
    }

    fn report(&self, code: u16, text: &str) -> ErrorReport {
        if let Some(errors) = self.errors {
            errors.set(errors.get() + 1);
        }
        error_report(code, self.unix_ms, text)
    }

    /// Writes what a read got.
    pub fn deliver(self, data: &Chunks, lost: u64, eos: bool, encodings: &mut Encodings) {
        let pieces = data.as_slice();
        if self.zero_copy
            && let Some(token) = PlainToken::new(self.token)
            && lost == 0
            && !eos
            && !data.is_empty()
        {
            return plain_reply::read(self.output, token, pieces);
        }
        let text = if self.zero_copy { None } else { encodings.quoted(pieces) };
        let writer = match text {
            Some(text) => self.begin().quoted(text),
            None => self.begin().binary(pieces),
        };
        writer.error(None).integer(lost).boolean(eos).end();
    }

    /// Writes what the core answered.
    pub fn answer(self, reply: Reply) {
        match reply {
            Reply::Read { data, error: None, lost, eos } => {
                let writer = self.begin().binary(data.as_slice()).error(None);
                writer.integer(lost).boolean(eos).end();
            }
            Reply::Done(Ok(())) => match PlainToken::new(self.token) {
                Some(token) => plain_reply::success(self.output, token),
                None => self.begin().error(None).end(),
            },
            Reply::Read { data, error: Some(refusal), lost, eos } => {
                let report = self.refusal_report(&refusal);
                let writer = self.begin().binary(data.as_slice()).error(Some(&report));
                writer.integer(lost).boolean(eos).end();
            }
            Reply::Done(Err(refusal)) => self.begin_refused(&refusal).end(),
            Reply::Stream(Ok(stream)) => self.begin().error(None).string(&stream.to_string()).end(),
            Reply::Attached(Ok((position, lost))) => self.attached(position, lost),
            Reply::Adopted(Ok(position)) => self.adopted(position),
            Reply::Stream(Err(refusal))
            | Reply::Attached(Err(refusal))
            | Reply::Adopted(Err(refusal))
            | Reply::Streams(Err(refusal)) => self.begin_refused(&refusal).null().end(),
            Reply::Streams(Ok(streams)) => {
                self.begin().error(None).raw(&stream_broker::streams_json(&streams)).end();
            }
            Reply::TestStreams(Ok((input, output))) => self.test_streams(input, output),
            Reply::TestStreams(Err(refusal)) => self.begin_refused(&refusal).null().null().end(),
        }
    }

    fn refusal_report(&self, refusal: &Refusal) -> ErrorReport {
        self.report(error_code::of(refusal), &refusal.to_string())
    }

    fn begin_refused(self, refusal: &Refusal) -> MessageWriter<'a> {
        let report = self.refusal_report(refusal);
        self.begin().error(Some(&report))
    }

    fn attached(self, position: Offset, lost: u64) {
        let result = serde_json::json!({ "Position": position.0, "Lost": lost });
        self.begin().error(None).json(&result).end();
    }

    fn adopted(self, position: Offset) {
        let result = serde_json::json!({ "Position": position.0 });
        self.begin().error(None).json(&result).end();
    }

    fn test_streams(self, input: StreamId, output: StreamId) {
        let writer = self.begin().error(None);
        writer.string(&input.to_string()).string(&output.to_string()).end();
    }
}
