//! What one side writes the other side reads, however it is framed and split; and nothing that a
//! peer sends does harm.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use weir::wire::{
    Arguments, ErrorReport, Frame, Framer, Header, MessageWriter, Output, WireLimits,
};

const ESC: u8 = 3;

/// How one part of a message is put on the wire.
#[derive(Clone, Debug)]
struct Part {
    bytes: Vec<u8>,
    /// A BIN block whose length has so many bytes more than it needs; otherwise plain bytes.
    padding: Option<usize>,
}

/// How the bytes reach the framer.
#[derive(Clone, Debug)]
struct Delivery {
    sizes: Vec<usize>,
    uses_direct: bool,
}

fn limits() -> WireLimits {
    WireLimits { message_bytes_max: 1 << 16, large_block_bytes_min: 24, ..WireLimits::default() }
}

/// Bytes that mean something to the framing come often.
fn data(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![2 => 0..5_u8, 1 => any::<u8>()], 0..=bytes_max)
}

fn message() -> impl Strategy<Value = Vec<Part>> {
    let part = (data(80), proptest::option::weighted(0.6, 0..3_usize))
        .prop_map(|(bytes, padding)| Part { bytes, padding });
    vec(part, 0..6)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let size = prop_oneof![3 => 1..4_usize, 2 => 4..100_usize, 1 => Just(1 << 20)];
    (vec(size, 1..8), any::<bool>())
        .prop_map(|(sizes, uses_direct)| Delivery { sizes, uses_direct })
}

fn frame(parts: &[Part]) -> Vec<u8> {
    let mut wire = Vec::new();
    for part in parts {
        match part.padding {
            Some(padding) => {
                wire.extend([ESC, 3]);
                put_padded_varint(&mut wire, part.bytes.len(), padding);
                wire.extend_from_slice(&part.bytes);
            }
            None => {
                for byte in &part.bytes {
                    wire.push(*byte);
                    if *byte == ESC {
                        wire.push(0);
                    }
                }
            }
        }
    }
    wire.extend([ESC, 1]);
    wire
}

fn put_padded_varint(wire: &mut Vec<u8>, mut value: usize, padding: usize) {
    while value > 0x7f {
        wire.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    wire.push(value as u8 | if padding > 0 { 0x80 } else { 0 });
    for left in (0..padding).rev() {
        wire.push(if left > 0 { 0x80 } else { 0 });
    }
}

/// Hands `wire` to a framer as `delivery` says and gives each message to `each`. Ends with whether
/// the end of stream came, or with the error's code.
fn deliver(
    wire: &[u8],
    delivery: &Delivery,
    mut each: impl FnMut(weir::wire::Body<'_>),
) -> Result<bool, u16> {
    let mut framer = Framer::new(limits());
    let mut rest = wire;
    let mut is_ended = false;
    for size in delivery.sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        if delivery.uses_direct
            && let Some(room) = framer.direct()
        {
            let count = room.len().min(*size).min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            framer.filled(count);
            rest = &rest[count..];
            continue;
        }
        let (mut input, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        while let Some(frame) = framer.decode(&mut input).map_err(|error| error.code())? {
            match frame {
                Frame::Message(body) => each(body),
                Frame::EndOfStream => is_ended = true,
            }
        }
        assert!(input.is_empty());
        // What `direct` offers is held too, though nothing has come yet.
        assert!(framer.buffered_bytes() <= limits().message_bytes_max);
    }
    Ok(is_ended)
}

proptest! {
    #[test]
    fn any_framing_in_any_split_decodes_to_the_same(
        messages in vec(message(), 0..5),
        delivery in delivery(),
        cut_off in proptest::option::of(message()),
    ) {
        let mut wire = messages.iter().flat_map(|parts| frame(parts)).collect::<Vec<u8>>();
        if let Some(parts) = &cut_off {
            let partial = frame(parts);
            wire.extend_from_slice(&partial[..partial.len() - 2]);
            wire.extend([ESC, 2, ESC, 1]);
        }
        let mut decoded = Vec::new();
        let is_ended = deliver(&wire, &delivery, |body| decoded.push(body.to_vec()));
        let expected = messages
            .iter()
            .map(|parts| parts.iter().flat_map(|part| part.bytes.clone()).collect::<Vec<u8>>())
            .collect::<Vec<_>>();
        prop_assert_eq!(decoded, expected);
        prop_assert_eq!(is_ended, Ok(cut_off.is_some()));
    }
}

/// One argument to write and to read back.
#[derive(Clone, Debug)]
enum Argument {
    String(String),
    Integer(u64),
    Boolean(bool),
    Null,
    Json(Value),
    Success,
    Error(u16, String),
    Binary(Vec<Vec<u8>>),
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn argument() -> impl Strategy<Value = Argument> {
    let size = prop_oneof![8 => 0..80_usize, 1 => 2000..3000_usize];
    let piece = size.prop_flat_map(|size| vec(prop_oneof![0..5_u8, any::<u8>()], size));
    prop_oneof![
        any::<String>().prop_map(Argument::String),
        any::<u64>().prop_map(Argument::Integer),
        any::<bool>().prop_map(Argument::Boolean),
        Just(Argument::Null),
        json().prop_map(Argument::Json),
        Just(Argument::Success),
        (1..100_u16, "[^{}]*").prop_map(|(code, text)| Argument::Error(code, text)),
        vec(piece, 0..4).prop_map(Argument::Binary),
    ]
}

fn write<'a>(writer: MessageWriter<'a>, argument: &Argument) -> MessageWriter<'a> {
    match argument {
        Argument::String(text) => writer.string(text),
        Argument::Integer(number) => writer.integer(*number),
        Argument::Boolean(value) => writer.boolean(*value),
        Argument::Null => writer.null(),
        Argument::Json(value) => writer.json(value),
        Argument::Success => writer.error(None),
        Argument::Error(code, text) => {
            let report = ErrorReport { code: *code, time_ms: 1, text: text.clone() };
            writer.error(Some(&report))
        }
        Argument::Binary(pieces) => {
            let pieces = pieces.iter().map(|piece| Bytes::from(piece.clone())).collect::<Vec<_>>();
            writer.binary(&pieces)
        }
    }
}

fn assert_reads(arguments: &mut Arguments<'_>, argument: &Argument) {
    match argument {
        Argument::String(text) => {
            assert_eq!(arguments.required_string().expect("what was written"), text.as_str())
        }
        Argument::Integer(number) => {
            assert_eq!(arguments.integer().expect("what was written"), *number)
        }
        Argument::Boolean(value) => {
            assert_eq!(arguments.boolean().expect("what was written"), *value)
        }
        Argument::Null => assert_eq!(arguments.optional_string().expect("what was written"), None),
        Argument::Json(value) => assert_eq!(arguments.json().expect("what was written"), *value),
        Argument::Success => assert_eq!(arguments.json().expect("what was written"), Value::Null),
        Argument::Error(code, text) => {
            let report = arguments.object().expect("what was written");
            assert_eq!(report["Code"], *code);
            assert_eq!(report["Format"], text.as_str());
        }
        Argument::Binary(pieces) => {
            let data = arguments.binary().expect("what was written");
            assert_eq!(data.as_slice(), pieces.concat());
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        messages in vec((data(9), any::<String>(), vec(argument(), 0..6)), 1..4),
        zero_copy in any::<bool>(),
        delivery in delivery(),
    ) {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for (token, name, arguments) in messages {
            let token = token.into_iter().filter(|byte| *byte != 0).collect::<Vec<u8>>();
            let name = name.replace('\0', "");
            let mut writer =
                MessageWriter::command(&mut output, zero_copy, &token, "Streams", &name);
            for argument in &arguments {
                writer = write(writer, argument);
            }
            writer.end();
            expected.push((token, name, arguments));
        }
        let limits = limits();
        let mut expected = expected.into_iter();
        let ended = deliver(&output.to_vec(), &delivery, |body| {
            let (token, name, arguments) = expected.next().expect("no more than was written");
            let (header, mut reader) = body.open(&limits).expect("a sound header");
            let expected_header = Header::Command {
                token: token.into(),
                service: b"Streams".into(),
                name: name.into_bytes().into(),
            };
            assert_eq!(header, expected_header);
            for argument in &arguments {
                assert_reads(&mut reader, argument);
            }
            reader.end().expect("no more than was written");
        });
        prop_assert_eq!(ended, Ok(false));
        prop_assert!(expected.next().is_none());
    }

    #[test]
    fn garbage_does_no_harm(
        wire in vec(
            prop_oneof![
                Just(vec![ESC, 1]),
                Just(vec![ESC, 3]),
                Just(b"C\x001\0S\0w\0".to_vec()),
                Just(b"R\x001\0".to_vec()),
                Just(b"(3".to_vec()),
                "[\"\\\\/u0-9a-f(){}:, =tn-]{0,9}".prop_map(String::into_bytes),
                data(40),
            ],
            0..40,
        ),
        delivery in delivery(),
        kinds in vec(0..8_u8, 1..5),
    ) {
        let limits = limits();
        let _ = deliver(&wire.concat(), &delivery, |body| {
            let Ok((_, mut arguments)) = body.open(&limits) else { return };
            for kind in &kinds {
                let result = match kind {
                    0 => arguments.string().map(drop),
                    1 => arguments.required_string().map(drop),
                    2 => arguments.integer().map(drop),
                    3 => arguments.boolean().map(drop),
                    4 => arguments.number_text().map(drop),
                    5 => arguments.binary().map(drop),
                    6 => arguments.json().map(drop),
                    _ => arguments.object().map(drop),
                };
                if result.is_err() {
                    return;
                }
            }
            let _ = arguments.end();
        });
    }
}
