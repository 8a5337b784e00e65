//! Receiving without looking.

use std::io;

use mio::net::TcpStream;

/// Throws away up to as many received bytes as `room` is long, and says how many. On Linux they
/// are not even copied (`MSG_TRUNC`, see tcp(7)), and `room` stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn discard(socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};
    let (count, _) = recv(socket, room, RecvFlags::TRUNC)?;
    Ok(count)
}

/// Throws away up to as many received bytes as `room` is long, and says how many.
#[cfg(not(target_os = "linux"))]
pub(crate) fn discard(mut socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut socket, room)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn bytes_are_counted_and_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        // Blocking: both calls wait until something is there.
        let mut socket = TcpStream::from_std(socket);
        peer.write_all(b"thrown away").unwrap();
        let mut room = [7; 100];
        let mut gone = 0;
        while gone < 11 {
            gone += discard(&socket, &mut room[..11 - gone]).unwrap();
        }
        peer.write_all(b"kept").unwrap();
        let mut kept = [0; 4];
        socket.read_exact(&mut kept).unwrap();
        assert_eq!((&kept, gone), (b"kept", 11));
        drop(peer);
        assert_eq!(discard(&socket, &mut room).unwrap(), 0);
    }
}
