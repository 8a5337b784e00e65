//! `POST /streams` and `PUT /streams`: a request's body becomes a stream.

use std::future::poll_fn;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::sleep;

use crate::admin::answers::{bad_request, refused};
use crate::admin::query::{BadQuery, Query};
use crate::admin::serving::Peer;
use crate::admin::streams::name;
use crate::admin::streams::options::{parse_flag, parse_stall_timeout};
use crate::client::{CallError, CreateOptions, Reply};
use crate::id::Door;
use crate::inside::{Link, LinkError, Workers};

/// Writes under way, and bytes of each at most. What is over that stays in the HTTP connection, so
/// a full stream slows the sender down.
const WRITES_MAX: usize = 4;
const WRITE_BYTES: usize = 64 << 10;

const PARAMETERS: &[&str] = &[
    "type",
    "name",
    "context",
    "direction",
    "buffer",
    "history",
    "stall_timeout",
    "hold",
    "linger",
];

/// The stream that a body is to become.
#[derive(Debug)]
pub(crate) struct UploadOptions {
    stream_type: String,
    create: CreateOptions,
}

impl UploadOptions {
    /// Reads the query. `name` is what the stream is called unless the query says so.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn parse(query: &str, name: Option<&str>) -> Result<UploadOptions, BadQuery> {
        let mut query = Query::parse(query)?;
        let expected = "the type of the new stream, as in POST /streams?type=log";
        let stream_type = query.take("type").filter(|text| !text.is_empty());
        let stream_type = stream_type.ok_or(BadQuery::Missing { name: "type", expected })?;
        let direction = |text: &str| ["out", "bus"].into_iter().find(|known| *known == text);
        let number = |text: &str| text.parse().ok();
        let create = CreateOptions {
            context: query.take("context"),
            name: query.take("name").or_else(|| name.map(str::to_owned)),
            direction: query.take_with("direction", "out or bus", direction)?,
            buffer_bytes: query.take_with("buffer", "a number of bytes", number)?,
            history_bytes: query.take_with("history", "a number of bytes", number)?,
            stall_timeout: query.take_with(
                "stall_timeout",
                "milliseconds or null",
                parse_stall_timeout,
            )?,
            hold: query.take_with("hold", "true or false", parse_flag)?.unwrap_or(false),
            linger_ms: query.take_with("linger", "milliseconds", number)?,
            ..CreateOptions::default()
        };
        query.end(PARAMETERS)?;
        Ok(UploadOptions { stream_type, create })
    }
}

/// What is answered when all is in.
#[derive(Debug, Serialize)]
struct Accepted {
    id: String,
    accepted: u64,
}

/// Why an upload is over before its body.
enum Failure {
    Link(LinkError),
    Refused(CallError),
    /// The body broke off; mostly nobody hears the answer.
    CutOff,
    /// Nothing more of it came.
    Stuck,
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Failure {
        Failure::Link(error)
    }
}

/// Writes a body into a new stream, and answers when all of it is in.
pub(crate) async fn upload(
    workers: &Workers,
    options: UploadOptions,
    body: Body,
    body_timeout: Duration,
    peer: &Peer,
) -> Response {
    let link = match Link::open(workers, None, Door::Http, name(peer)).await {
        Ok(link) => link,
        Err(error) => return error.into_response(),
    };
    let mut upload = Upload { link, id: String::new(), under_way: 0, accepted: 0, body_timeout };
    let outcome = tokio::select! {
        outcome = upload.run(&options, body) => outcome,
        // While the body is not read, nothing else tells that the client has gone.
        () = peer.socket.broken() => Err(Failure::CutOff),
    };
    let Upload { link, id, accepted, .. } = upload;
    // A stream that was not ended is cut off by this.
    tokio::spawn(link.close());
    match outcome {
        Ok(()) => {
            let location = format!("/streams/{id}");
            let accepted = serde_json::to_string(&Accepted { id, accepted });
            let text = accepted.expect("a string and a number make JSON") + "\n";
            let kind = "application/json".to_owned();
            let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, kind)];
            (StatusCode::CREATED, headers, text).into_response()
        }
        Err(Failure::Refused(error)) => refused(&error),
        Err(Failure::Link(error)) => error.into_response(),
        Err(Failure::CutOff) => bad_request("400: the body broke off\n"),
        Err(Failure::Stuck) => {
            let text = format!(
                "408: no byte of the body has come for {body_timeout:?}, and {id} is cut off; a body \
                 that comes when it likes is sent with Transfer-Encoding: chunked (curl -T -)\n"
            );
            (StatusCode::REQUEST_TIMEOUT, text).into_response()
        }
    }
}

struct Upload {
    link: Link,
    id: String,
    under_way: usize,
    accepted: u64,
    /// How long a body whose length is known may be silent while we wait for it.
    body_timeout: Duration,
}

impl Upload {
    async fn run(&mut self, options: &UploadOptions, mut body: Body) -> Result<(), Failure> {
        let call = self.link.create(&options.stream_type, &options.create);
        match self.link.wait(call).await?.map_err(Failure::Refused)? {
            Reply::Created(id) => self.id = id,
            other => unreachable!("the reply was read in another form: {other:?}"),
        }
        while let Some(mut piece) = self.next_piece(&mut body).await? {
            while !piece.is_empty() {
                while self.under_way == WRITES_MAX {
                    self.take_answer().await?;
                }
                let data = piece.split_to(piece.len().min(WRITE_BYTES));
                self.accepted += data.len() as u64;
                self.link.write(&self.id, data);
                self.under_way += 1;
                self.link.flush().await?;
            }
        }
        while self.under_way > 0 {
            self.take_answer().await?;
        }
        let call = self.link.eos(&self.id);
        // It comes after what others have parked in the stream, whenever that may go in.
        self.link.answer_to(call).await?.map_err(Failure::Refused)?;
        Ok(())
    }

    /// The next bytes of the body; answers that come meanwhile are taken.
    async fn next_piece(&mut self, body: &mut Body) -> Result<Option<Bytes>, Failure> {
        // A body of unknown length may be a program's output, which is silent when it likes.
        let is_file = body.size_hint().exact().is_some();
        loop {
            let frame = tokio::select! {
                frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)) => frame,
                () = sleep(self.body_timeout), if is_file => return Err(Failure::Stuck),
                answer = self.link.receive() => {
                    answer?.result.map_err(Failure::Refused)?;
                    self.under_way -= 1;
                    continue;
                }
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(Failure::CutOff),
                // Trailers mean nothing here.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
            }
        }
    }

    async fn take_answer(&mut self) -> Result<(), Failure> {
        self.link.receive().await?.result.map_err(Failure::Refused)?;
        self.under_way -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::StallTimeout;

    #[test]
    fn what_the_stream_is_to_be_is_read() {
        let query = "type=a+b&name=n&context=P1&direction=bus&buffer=10&history=5\
                     &stall_timeout=null&hold=true&linger=7";
        let options = UploadOptions::parse(query, Some("file")).unwrap();
        assert_eq!(options.stream_type, "a b");
        let create = options.create;
        assert_eq!((create.name.as_deref(), create.context.as_deref()), (Some("n"), Some("P1")));
        assert_eq!((create.direction, create.buffer_bytes), (Some("bus"), Some(10)));
        assert_eq!((create.history_bytes, create.linger_ms), (Some(5), Some(7)));
        assert_eq!((create.stall_timeout, create.hold), (Some(StallTimeout::Never), true));
        let options = UploadOptions::parse("type=a", Some("boot.log")).unwrap();
        assert_eq!(options.create.name.as_deref(), Some("boot.log"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, name) in [
            ("", "type"),
            ("type=", "type"),
            ("type=a&direction=in", "direction"),
            ("type=a&buffer=1MiB", "buffer"),
            ("type=a&key=x", "key"),
        ] {
            let error = UploadOptions::parse(query, None).unwrap_err().to_string();
            assert!(error.starts_with("400: ") && error.contains(name), "{error}");
        }
    }
}
