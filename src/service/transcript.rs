//! The notation of messages in tests: `|` for NUL, `<eom>` and `<eos>` for the markers.

/// The bytes of one message without framing of its own: `text` with NULs, and EOM.
pub fn message(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'|' { 0 } else { byte }).collect();
    bytes.extend([3, 1]);
    bytes
}

/// Plain output bytes as text: escapes removed, one line for each message.
pub fn render(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            0 => text.push(b'|'),
            3 => match rest.next() {
                Some(0) => text.push(3),
                Some(1) => text.extend(b"<eom>\n"),
                Some(2) => text.extend(b"<eos>"),
                other => panic!("no plain output: ESC {other:?}"),
            },
            _ => text.push(byte),
        }
    }
    String::from_utf8(text).unwrap()
}
