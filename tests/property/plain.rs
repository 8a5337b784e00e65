//! Commands that are read in one pass mean what the general decoder says they mean.

use proptest::collection::vec;
use proptest::prelude::*;
use weir::id::StreamId;
use weir::wire::{Binary, Frame, Framer, Header, Plain, PlainCommands, PlainToken, WireLimits};

/// One message, nearly as a client sends it.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![4 => "[0-9]{1,9}", 1 => "[ -~]{0,25}"];
    let data = vec(prop_oneof![1 => 0..5_u8, 1 => any::<u8>()], 0..40);
    let off = prop_oneof![9 => Just(0), 1 => 0..2_usize];
    (token, 0..20_u64, data, 0..5_u8, off, vec((any::<prop::sample::Index>(), any::<u8>()), 0..2))
        .prop_map(|(token, stream, data, form, off, flips)| {
            let mut text = format!("C\0{token}\0Streams\0").into_bytes();
            let size = data.len() + off;
            let head = format!("write\0\"VS{stream}\"\0{size}\0({})", data.len());
            match form {
                0 => text.extend(format!("read\0\"VS{stream}\"\0{size}\0\x03\x01").bytes()),
                1 | 2 => {
                    // The block ends with the data, or with the NUL behind it.
                    text.extend(head.bytes());
                    let length = data.len() + usize::from(form == 2);
                    text.extend([3, 3, length as u8]);
                    text.extend(&data);
                    text.extend([0, 3, 1]);
                }
                3 => {
                    text.extend(head.bytes());
                    text.extend(&data);
                    text.push(0);
                    let (low, high) = (text.len() as u8 | 0x80, (text.len() >> 7) as u8);
                    text.splice(..0, [3, 3, low, high]);
                    text.extend([3, 1]);
                }
                _ => {
                    text.extend(head.bytes());
                    text.extend(data.iter().filter(|byte| **byte != 3));
                    text.extend([0, 3, 1]);
                }
            }
            for (place, byte) in flips {
                let place = place.index(text.len());
                text[place] = byte;
            }
            text
        })
}

/// What the general decoder says of the message in front: how long it is, and what it means.
fn check(plain: Plain<'_>, taken: &[u8]) {
    let limits = WireLimits::default();
    let mut framer = Framer::new(limits.clone());
    let mut input = taken;
    let frame = framer.decode(&mut input).expect("the framing is sound");
    let Some(Frame::Message(body)) = frame else { panic!("no message: {}", taken.escape_ascii()) };
    let (header, mut arguments) = body.open(&limits).expect("the header is sound");
    let Header::Command { token, service, name } = header else { panic!("no command") };
    assert_eq!(&service[..], b"Streams");
    let id = arguments.string().expect("the stream's ID is sound");
    let id = StreamId::parse(id.as_bytes());
    let number = arguments.integer().expect("the size is sound");
    match plain {
        Plain::Write { token: plain_token, stream, data } => {
            assert_eq!(
                (&name[..], &token[..], id),
                (&b"write"[..], plain_token.as_bytes(), Some(stream))
            );
            let general = arguments.binary().expect("the data is sound");
            let general = match &general {
                Binary::Borrowed(slice) => slice,
                Binary::Owned(bytes) => &bytes[..],
            };
            assert_eq!((number, general), (data.len() as u64, data));
        }
        Plain::Read { token: plain_token, stream, size } => {
            assert_eq!(
                (&name[..], &token[..], id),
                (&b"read"[..], plain_token.as_bytes(), Some(stream))
            );
            assert_eq!(number, size);
        }
    }
    arguments.end().expect("nothing is left");
    assert!(input.is_empty());
}

proptest! {
    #[test]
    fn both_decoders_agree(messages in vec(message(), 1..8)) {
        let bytes = messages.concat();
        let mut commands = PlainCommands::new(&bytes, &WireLimits::default());
        loop {
            let before = commands.rest();
            let Some(plain) = commands.take() else { break };
            check(plain, &before[..before.len() - commands.rest().len()]);
        }
    }

    /// The forms that the generator makes are taken, so that the test above compares something.
    #[test]
    fn sound_commands_are_taken(token in "[0-9]{1,9}", data in vec(any::<u8>(), 0..40)) {
        let head = format!("C\0{token}\0Streams\0write\0\"VS3\"\0{0}\0({0})", data.len());
        let message = [head.as_bytes(), &[3, 3, data.len() as u8], &data, &[0, 3, 1]].concat();
        let mut commands = PlainCommands::new(&message, &WireLimits::default());
        let token = PlainToken::new(token.as_bytes()).expect("it is short");
        let expected = Plain::Write { token, stream: StreamId(3), data: &data };
        prop_assert_eq!(commands.take(), Some(expected));
    }
}
