//! The front of a reply to `Streams.read`, up to its data.

/// The longest front of the usual form: a token and two lengths.
const FRONT_BYTES_MAX: usize = 64;

/// What stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadHead {
    /// More is needed to tell.
    Partial,
    /// Not of the usual form: to be read with care.
    Other,
    /// `R token data`.
    Reply {
        /// The command's token.
        token: usize,
        /// The form of the data.
        data: DataForm,
        /// Bytes in front of the data.
        used: usize,
    },
}

/// The form of binary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataForm {
    /// So many bytes as they are, one BIN block.
    Binary(usize),
    /// Base64, up to a quote.
    Text,
    /// None; what follows is the NUL behind it.
    Null,
}

/// Reads the front of `input`.
pub(super) fn read_head(input: &[u8]) -> ReadHead {
    let mut walk = Walk { input, at: 0 };
    match walk.reply() {
        Ok((token, data)) => ReadHead::Reply { token, data, used: walk.at },
        Err(Stop::Other) => ReadHead::Other,
        Err(Stop::Partial) if input.len() > FRONT_BYTES_MAX => ReadHead::Other,
        Err(Stop::Partial) => ReadHead::Partial,
    }
}

enum Stop {
    Partial,
    Other,
}

struct Walk<'a> {
    input: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn reply(&mut self) -> Result<(usize, DataForm), Stop> {
        self.expect(b"R\0")?;
        let token = self.number(0)?;
        let data = match self.byte()? {
            b'"' => DataForm::Text,
            b'n' => {
                self.expect(b"ull")?;
                DataForm::Null
            }
            b'(' => {
                let length = self.number(b')')?;
                self.expect(b"\x03\x03")?;
                if self.length()? != length {
                    return Err(Stop::Other);
                }
                DataForm::Binary(length)
            }
            _ => return Err(Stop::Other),
        };
        Ok((token, data))
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.input.get(self.at).ok_or(Stop::Partial)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), Stop> {
        for &want in text {
            if self.byte()? != want {
                return Err(Stop::Other);
            }
        }
        Ok(())
    }

    /// Digits up to `end`.
    fn number(&mut self, end: u8) -> Result<usize, Stop> {
        let mut number = 0_usize;
        let from = self.at;
        loop {
            match self.byte()? {
                digit @ b'0'..=b'9' if self.at - from < 16 => {
                    number = number * 10 + usize::from(digit - b'0');
                }
                byte if byte == end && self.at - from > 1 => return Ok(number),
                _ => return Err(Stop::Other),
            }
        }
    }

    /// The length of a BIN block: seven bits a byte, lowest first.
    fn length(&mut self) -> Result<usize, Stop> {
        let mut length = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(length);
            }
        }
        Err(Stop::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read_in_any_split() {
        let cases: [(&[u8], usize, DataForm); 3] = [
            (b"R\x0012\0(300)\x03\x03\xac\x02", 12, DataForm::Binary(300)),
            (b"R\x000\0\"", 0, DataForm::Text),
            (b"R\x007\0null", 7, DataForm::Null),
        ];
        for (text, token, data) in cases {
            let behind = [text, b"\0rest"].concat();
            let want = ReadHead::Reply { token, data, used: text.len() };
            assert_eq!(read_head(&behind), want);
            for end in 0..text.len() {
                assert_eq!(read_head(&text[..end]), ReadHead::Partial);
            }
        }
    }

    #[test]
    fn everything_else_is_left_to_care() {
        for text in [
            &b"E\0Streams\0"[..],
            b"N\x001\0\x03\x01",
            b"R\x004\0(5)hello",
            b"R\x004\0(5)\x03\x03\x06",
            b"R\0\0null",
            b"R\0x\0null",
            b"\x03\x02",
            b"\x03\x03\x0aR",
        ] {
            assert_eq!(read_head(text), ReadHead::Other, "{text:?}");
        }
    }
}
