//! The wire room by itself: decoding of writes, encoding of read replies.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir::wire::{
    Binary, Encodings, Frame, Framer, Header, MessageWriter, Output, Plain, PlainCommands,
    PlainToken, WireLimits, plain_reply,
};

/// What one read of a socket brings.
const INPUT_BYTES: usize = 64 << 10;

/// Payload sizes: a log line, a block of a transfer.
const SIZES: [usize; 3] = [64, 1024, 65_536];

fn payload(size: usize) -> Bytes {
    (0..size).map(|at| (at * 7) as u8).collect::<Vec<u8>>().into()
}

/// As many writes of `size` bytes as come in a few inputs.
fn writes(size: usize, zero_copy: bool) -> (Vec<u8>, usize) {
    let count = (4 * INPUT_BYTES / size).clamp(4, 1000);
    let data = [payload(size)];
    let mut output = Output::default();
    for token in 0..count {
        let token = token.to_string();
        MessageWriter::command(&mut output, zero_copy, token.as_bytes(), "Streams", "write")
            .string("VS12")
            .integer(size as u64)
            .binary(&data)
            .end();
    }
    (output.to_vec(), count * size)
}

/// Decodes everything as a worker does: the socket's bytes into one buffer, or straight into a
/// block.
fn decode(wire: &[u8], limits: &WireLimits) -> usize {
    let mut framer = Framer::new(limits.clone());
    let mut bytes = 0;
    let mut rest = wire;
    while !rest.is_empty() {
        if let Some(room) = framer.direct() {
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            framer.filled(count);
            rest = &rest[count..];
            continue;
        }
        let (mut input, behind) = rest.split_at(rest.len().min(INPUT_BYTES));
        rest = behind;
        while let Some(frame) = framer.decode(&mut input).expect("sound input") {
            let Frame::Message(body) = frame else { continue };
            let (header, mut arguments) = body.open(limits).expect("sound header");
            assert!(matches!(header, Header::Command { .. }));
            black_box(arguments.string().expect("a stream ID"));
            black_box(arguments.integer().expect("a size"));
            bytes += match arguments.binary().expect("data") {
                Binary::Borrowed(data) => data.len(),
                Binary::Owned(data) => data.len(),
            };
            arguments.end().expect("no more");
        }
    }
    bytes
}

/// Decodes writes that lie in the input in whole, as most do.
fn decode_plain(wire: &[u8], limits: &WireLimits) -> usize {
    let mut bytes = 0;
    let mut commands = PlainCommands::new(wire, limits);
    while let Some(Plain::Write { token, stream, data }) = commands.take() {
        black_box((token, stream));
        bytes += data.len();
    }
    bytes
}

/// Decoding of writes, in one of the forms that they come in.
fn bench_decoding(
    criterion: &mut Criterion,
    form: &str,
    zero_copy: bool,
    decode: fn(&[u8], &WireLimits) -> usize,
) {
    let limits = WireLimits::default();
    let mut group = criterion.benchmark_group(format!("wire/decode-write/{form}"));
    for size in SIZES {
        let (wire, bytes) = writes(size, zero_copy);
        assert_eq!(decode(&wire, &limits), bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(size.to_string(), |bencher| {
            bencher.iter(|| decode(black_box(&wire), &limits));
        });
    }
    group.finish();
}

/// Encoding of read replies by `write`, which puts the data into the output.
fn bench_encoding(criterion: &mut Criterion, form: &str, write: fn(&mut Output, &[Bytes])) {
    let mut group = criterion.benchmark_group(format!("wire/encode-read/{form}"));
    for size in SIZES {
        let data = [payload(size)];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(size.to_string(), |bencher| {
            let mut output = Output::default();
            bencher.iter(|| {
                write(&mut output, black_box(&data));
                output.advance(output.len());
            });
        });
    }
    group.finish();
}

fn write_reply(output: &mut Output, zero_copy: bool, data: &[Bytes]) {
    let reply = MessageWriter::reply(output, zero_copy, b"1234").binary(data).error(None);
    reply.integer(0).boolean(false).end();
}

/// Base64 of the same data for eight readers.
fn bench_shared_encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire/encode-read/base64-for-8");
    for size in &SIZES[1..] {
        let data = [payload(*size)];
        group.throughput(Throughput::Bytes(8 * *size as u64));
        group.bench_function(size.to_string(), |bencher| {
            let mut encodings = Encodings::default();
            bencher.iter(|| {
                for _ in 0..8 {
                    black_box(encodings.quoted(black_box(&data)));
                }
                encodings.clear();
            });
        });
    }
    group.finish();
}

fn benchmark(criterion: &mut Criterion) {
    bench_decoding(criterion, "plain", true, decode_plain);
    bench_decoding(criterion, "zero-copy", true, decode);
    bench_decoding(criterion, "base64", false, decode);
    bench_encoding(criterion, "plain", |output, data| {
        let token = PlainToken::new(b"1234").expect("it is short");
        plain_reply::read(output, token, data);
    });
    bench_encoding(criterion, "zero-copy", |output, data| write_reply(output, true, data));
    bench_encoding(criterion, "base64", |output, data| write_reply(output, false, data));
    bench_shared_encoding(criterion);
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
