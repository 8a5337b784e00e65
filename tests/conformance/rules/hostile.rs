//! Input that crashes or wedges the reference closes one channel here.

use crate::differs::connected_pair;
use crate::support::framing::{ESC, bin_block, frame};
use crate::support::message::error_code;
use crate::support::peer::{join, quoted};
use crate::support::{Message, RawPeer, TestServer};

#[test]
fn null_in_hello_closes_and_the_broker_lives() {
    let mut server = TestServer::start();
    for list in [&b"[null]"[..], b"[\"Locator\",null]", b"[1]", b"{}", b"null", b"[[\"Locator\"]]"]
    {
        let mut peer = RawPeer::connect(server.address());
        peer.next_message();
        peer.send_fields(&[b"E", b"Locator", b"Hello", list]);
        assert_eq!(peer.expect_error_end(), 3, "{}", list.escape_ascii());
    }
    server.assert_well();
}

#[test]
fn negative_counted_value_closes() {
    let mut server = TestServer::start();
    let mut bystander = server.peer();
    let (inp, out) = connected_pair(&mut bystander, 100, 100);
    let mut peer = server.peer();
    assert_eq!(peer.streams("connect", &[&quoted(&inp)]), 0);
    peer.command("Streams", "write", &[&quoted(&inp), b"3", b"(-1)abc"]);
    let code = peer.expect_error_end();
    assert!(matches!(code, 2 | 3), "{code}");
    assert_eq!(bystander.write(&inp, b"abc"), 0);
    assert_eq!(bystander.read(&out, 10).data, b"abc", "others are not touched");
    server.assert_well();
}

#[test]
fn huge_bin_length_closes_or_waits_without_memory() {
    let mut server = TestServer::start();
    let before = server.resident_memory();
    for length in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff; 9], &[0xff, 0xff, 0xff, 0x7f]] {
        let mut peer = server.peer();
        let mut bytes = vec![ESC, ESC];
        bytes.extend_from_slice(length);
        peer.send_raw(&bytes);
        assert!(matches!(peer.expect_error_end(), 2..=4), "{length:x?}");
    }
    assert!(server.resident_memory() < before + (32 << 20), "no memory for what does not come");
    server.assert_well();
}

#[test]
fn message_over_the_bound_closes() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    let block = vec![b'x'; 1 << 20];
    let mut wire = b"C\x00".to_vec();
    bin_block(&block, &mut wire);
    peer.send_raw(&wire[..2]);
    for _ in 0..40 {
        if peer.try_send_raw(&wire[2..]).is_err() {
            break;
        }
    }
    assert_eq!(peer.expect_error_end(), 4);
    server.assert_well();
}

#[test]
fn bin_blocks_may_cut_anywhere() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let body = join(&[b"C", b"7", b"Diagnostics", b"echo", b"\"cut\x03anywhere\""]);
    for cut in 0..body.len() {
        for width in [0, 1, 3] {
            let end = (cut + width).min(body.len());
            let mut wire = Vec::new();
            crate::support::framing::escape(&body[..cut], &mut wire);
            bin_block(&body[cut..end], &mut wire);
            crate::support::framing::escape(&body[end..], &mut wire);
            wire.extend_from_slice(&[ESC, 1]);
            peer.send_raw(&wire);
            let want = Message::Reply {
                token: b"7".to_vec(),
                args: vec![b"\"cut\\u0003anywhere\"".to_vec()],
            };
            assert_eq!(peer.next_message(), want, "cut at {cut}, {width} wide");
        }
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let mut wire = frame(&join(&[b"C", b"1", b"Locator", b"sync"]));
    bin_block(&join(&[b"C", b"2", b"Locator", b"sync"]), &mut wire);
    wire.extend_from_slice(&[ESC, 1]);
    for byte in wire {
        peer.send_raw(&[byte]);
    }
    assert_eq!(peer.next_message().token(), Some(&b"1"[..]));
    assert_eq!(peer.next_message().token(), Some(&b"2"[..]));
}

#[test]
fn peer_without_zero_copy_gets_neither_bin_blocks_nor_counted_values() {
    let server = TestServer::start();
    let (mut plain, mut copying) = (server.peer(), server.zero_copy_peer());
    let (inp, out) = connected_pair(&mut plain, 50_000, 50_000);
    assert_eq!(copying.streams("connect", &[&quoted(&out)]), 0);
    let data: Vec<u8> = (0..40_000u32).map(|number| number as u8).collect();
    assert_eq!(plain.write(&inp, &data), 0);
    let mut seen = Vec::new();
    while seen.len() < data.len() {
        let token = plain.start_read(&out, 50_000);
        let reply = plain.reply(&token);
        assert!(reply[0].starts_with(b"\""), "base64 for a plain peer");
        seen.extend(crate::support::message::binary(&reply[0]));
    }
    assert_eq!(seen, data);
    assert_eq!(plain.bin_blocks(), 0);
    seen.clear();
    while seen.len() < data.len() {
        let token = copying.start_read(&out, 50_000);
        let reply = copying.reply(&token);
        assert!(reply[0].starts_with(b"("), "raw for a peer that takes it");
        seen.extend(crate::support::message::binary(&reply[0]));
    }
    assert_eq!(seen, data);
    assert!(copying.bin_blocks() > 0);
}

#[test]
fn fin_without_end_of_stream_is_answered_with_ours() {
    let server = TestServer::start();
    let mut peer = server.peer();
    peer.command("Locator", "sync", &[]);
    peer.finish();
    let (before, report) = peer.expect_end();
    assert_eq!(before.len(), 1, "the command before the FIN is answered");
    assert_eq!(error_code(&report), 0);
}
