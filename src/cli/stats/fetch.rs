//! A GET of one path of the broker's own HTTP server. That server answers in HTTP/1.0 what is asked
//! in HTTP/1.0: a head, a body, and the end of the connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::config::{Address, HttpAddress};
use crate::shown;

/// How long the broker may take to accept, and each time to go on with its answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// The largest answer that is taken in: several times that of a broker with 65,536 streams.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// How every TCF peer begins.
const TCF_HELLO: &[u8] = b"E\0Locator\0Hello\0";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// `--http off`, which the broker understands.
    #[error("HTTP is off: give --http HOST:PORT, where the broker answers")]
    Off,
    /// Nobody answers.
    #[error(
        "cannot reach {address}: {error}\n\
         is the broker running, with HTTP? say where it answers with --http HOST:PORT"
    )]
    Unreachable {
        /// What was tried.
        address: Address,
        /// What the system said. Part of the text, so no source of it.
        error: io::Error,
    },
    /// Somebody answers, but not as the broker does.
    #[error(
        "{address} does not answer as a broker's HTTP does: {reason}\n\
         give the port that the broker's first line names behind http://"
    )]
    NotHttp {
        /// What was tried.
        address: Address,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// The broker refuses, and says why.
    #[error("the broker answers: {}", shown::line(.0))]
    Refused(String),
}

/// Asks one broker.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    address: Address,
}

impl Fetcher {
    pub(crate) fn new(address: &HttpAddress) -> Result<Fetcher, FetchError> {
        match address {
            HttpAddress::At(address) => Ok(Fetcher { address: address.clone() }),
            HttpAddress::Off => Err(FetchError::Off),
        }
    }

    /// Where it asks.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The body of the answer to a GET of this path.
    pub(crate) fn get(&self, path: &str) -> Result<String, FetchError> {
        let unreachable = |error| FetchError::Unreachable { address: self.address.clone(), error };
        let socket = self.connect().map_err(unreachable)?;
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it says nothing",
            io::ErrorKind::InvalidData => "it speaks TCF",
            _ => "it breaks the connection",
        };
        let failed = |reason| FetchError::NotHttp { address: self.address.clone(), reason };
        let answer = self.ask(socket, path).map_err(|error| failed(broken(error)))?;
        let not_http = || failed("its answer is not that of HTTP");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
        let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        match status {
            Some("200") => Ok(body.to_owned()),
            Some(_) => Err(FetchError::Refused(body.trim().to_owned())),
            None => Err(not_http()),
        }
    }

    fn ask(&self, mut socket: TcpStream, path: &str) -> io::Result<String> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let host = match self.address.host.contains(':') {
            true => format!("[{}]", self.address.host),
            false => self.address.host.clone(),
        };
        write!(socket, "GET {path} HTTP/1.0\r\nHost: {host}:{}\r\n\r\n", self.address.port)?;
        let mut answer = Vec::new();
        // A TCF peer says Hello and waits: that is seen before its silence is.
        (&socket).take(TCF_HELLO.len() as u64).read_to_end(&mut answer)?;
        if answer == TCF_HELLO {
            return Err(io::ErrorKind::InvalidData.into());
        }
        socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(match String::from_utf8(answer) {
            Ok(answer) => answer,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::ErrorKind::NotFound.into();
        for candidate in self.address.resolve()? {
            match TcpStream::connect_timeout(&candidate, PATIENCE) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What comes of an answer.
    fn fetch(answer: &'static str) -> Result<String, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            socket.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let fetched = Fetcher::new(&address.parse().unwrap()).unwrap().get("/stats");
        let request = server.join().unwrap();
        assert_eq!(request, format!("GET /stats HTTP/1.0\r\nHost: {address}\r\n\r\n"));
        fetched
    }

    #[test]
    fn an_answer_is_a_body_or_a_reason() {
        assert_eq!(fetch("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n").unwrap(), "{}\r\n\r\n");
        let refused = fetch("HTTP/1.1 404 Not Found\r\n\r\n404: no such stream\n").unwrap_err();
        assert_eq!(refused.to_string(), "the broker answers: 404: no such stream");
        for (answer, why) in [
            ("SSH-2.0-x\r\n", "not that of HTTP"),
            ("", "not that of HTTP"),
            ("E\0Locator\0Hello\0[]\0\x03\x01", "it speaks TCF\ngive the port"),
        ] {
            let error = fetch(answer).unwrap_err();
            assert!(matches!(error, FetchError::NotHttp { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn nobody_there_and_http_off_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = Fetcher::new(&address.parse().unwrap()).unwrap().get("/stats").unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
        assert!(matches!(Fetcher::new(&HttpAddress::Off), Err(FetchError::Off)));
    }
}
