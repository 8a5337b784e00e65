//! Writes are atomic, ends wait their turn, sizes are believed only when they fit.

use serde_json::json;

use crate::differs::{BETWEEN_TEST_STREAMS, connected_pair, read_to_end};
use crate::support::TestServer;
use crate::support::peer::quoted;

#[test]
pub fn writes_of_two_channels_never_interleave() {
    let server = TestServer::start();
    let (mut first, mut second) = (server.peer(), server.peer());
    let (inp, out) = connected_pair(&mut first, 10, 10);
    assert_eq!(second.streams("connect", &[&quoted(&inp)]), 0);
    let firsts: Vec<String> = (0..10).map(|_| first.start_write(&inp, &[b'a'; 20])).collect();
    first.sync();
    let seconds: Vec<String> = (0..3).map(|_| second.start_write(&inp, &[b'b'; 20])).collect();
    let end = second.command("Streams", "eos", &[&quoted(&inp)]);
    second.sync();

    let data = read_to_end(&mut first, &out);
    for write in data.chunks(20) {
        assert!(write.iter().all(|&byte| byte == write[0]), "{}", data.escape_ascii());
    }
    let count = |mark| data.iter().filter(|&&byte| byte == mark).count();
    assert_eq!((count(b'a'), count(b'b'), data.len()), (200, 60, 260), "all of both");
    for token in firsts {
        assert_eq!(first.code_of(&token), 0, "another channel's end destroys no parked write");
    }
    for token in seconds {
        assert_eq!(second.code_of(&token), 0);
    }
    assert_eq!(second.code_of(&end), 0);
}

#[test]
fn writes_on_a_bus_stay_whole_while_both_channels_park() {
    let server = TestServer::start();
    let (mut first, mut second) = (server.peer(), server.zero_copy_peer());
    let bus = json!({"Direction": "bus", "BufferSize": 64, "History": 0, "StallTimeout": null});
    let stream = first.create("Bus", bus);
    // A connected channel counts as a reader of a bus; this one wants nothing kept for it.
    assert_eq!(second.attach(&stream, json!({"StallTimeout": 0})).0, 0);
    let mut reader = server.peer();
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    const WRITES: u8 = 20;
    const SIZE: usize = 50;
    for index in 0..WRITES {
        first.start_write(&stream, &[index; SIZE]);
        second.start_write(&stream, &[100 + index; SIZE]);
    }
    let mut data = Vec::new();
    while data.len() < 2 * usize::from(WRITES) * SIZE {
        let reply = reader.read(&stream, 37);
        assert_eq!((reply.code, reply.lost), (0, 0));
        data.extend(reply.data);
    }
    let (mut next_first, mut next_second) = (0, 100);
    for write in data.chunks(SIZE) {
        let mark = write[0];
        assert!(write.iter().all(|&byte| byte == mark), "a write in pieces: {write:?}");
        let next = if mark < 100 { &mut next_first } else { &mut next_second };
        assert_eq!(mark, *next, "one channel's writes in order");
        *next += 1;
    }
    first.sync();
    second.sync();
}

#[test]
fn negative_write_size_is_refused() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    let (inp, _) = connected_pair(&mut peer, 10, 10);
    for _ in 0..2 {
        let code = peer.streams("write", &[&quoted(&inp), b"-1", b"\"YWJj\""]);
        assert!(code == 15 || code == 20, "{code}");
        // The second time with the buffers full.
        peer.start_write(&inp, &[b'x'; 20 + BETWEEN_TEST_STREAMS]);
        peer.sync();
    }
    server.assert_well();
}

#[test]
fn write_that_does_not_fit_its_size_is_refused_in_front_of_parked_ones() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let (inp, out) = connected_pair(&mut peer, 10, 10);
    let parked: Vec<String> = (0..5).map(|_| peer.start_write(&inp, &[b'p'; 100])).collect();
    assert_eq!(peer.streams("write", &[&quoted(&inp), b"5", b"\"YWJj\""]), 15);
    assert_eq!(peer.drain().len(), 1, "only the first write has been accepted");
    let end = peer.command("Streams", "eos", &[&quoted(&inp)]);
    assert_eq!(read_to_end(&mut peer, &out), [b'p'; 500]);
    for token in &parked[1..] {
        assert_eq!(peer.code_of(token), 0);
    }
    assert_eq!(peer.code_of(&end), 0);
}

#[test]
fn write_larger_than_the_buffer_is_taken_in_pieces() {
    let server = TestServer::start();
    let (mut writer, mut reader) = (server.zero_copy_peer(), server.zero_copy_peer());
    let stream = writer.create("Big", json!({"BufferSize": 1000, "History": 0}));
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    let data: Vec<u8> = (0..10_000u32).map(|number| (number % 251) as u8).collect();
    let write = writer.start_write(&stream, &data);
    let end = writer.command("Streams", "eos", &[&quoted(&stream)]);
    assert_eq!(read_to_end(&mut reader, &stream), data);
    assert_eq!(writer.code_of(&write), 0);
    assert_eq!(writer.code_of(&end), 0);
}
