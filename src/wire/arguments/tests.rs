//! Arguments as deployed peers send them, whole and cut into blocks.

use serde_json::json;

use super::*;
use crate::wire::Body;

/// Reads the argument bytes `text` with `read`, whole and with each block cut out of it; all must
/// give the same.
fn read<T: PartialEq + std::fmt::Debug>(
    text: &[u8],
    read: impl Fn(&mut Arguments<'_>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let limits = WireLimits { argument_bytes_max: 200, json_depth_max: 3, ..WireLimits::default() };
    let whole = [b"R\x001\0", text].concat();
    let open = |text: &[u8], blocks: &[(usize, Bytes)]| {
        let (_, mut arguments) = Body::new(text, blocks).open(&limits).unwrap();
        let value = read(&mut arguments)?;
        arguments.end().map(|()| value)
    };
    let expected = open(&whole, &[]);
    for at in 4..whole.len() {
        for length in [2, 3, 4, whole.len() - at] {
            let length = length.min(whole.len() - at);
            let left = [&whole[..at], &whole[at + length..]].concat();
            let block = Bytes::copy_from_slice(&whole[at..at + length]);
            assert_eq!(open(&left, &[(at, block.clone())]), expected, "{text:?} at {at}");
            if length < 2 {
                continue;
            }
            let halves = [(at, block.slice(..length / 2)), (at, block.slice(length / 2..))];
            assert_eq!(open(&left, &halves), expected, "{text:?} at {at}");
        }
    }
    expected
}

fn string(text: &[u8]) -> Result<String, u16> {
    let result = read(text, |arguments| arguments.string().map(Cow::into_owned));
    result.map_err(|error| error.code())
}

fn integer(text: &[u8]) -> Result<u64, u16> {
    read(text, |it| it.integer()).map_err(|error| error.code())
}

fn binary(text: &[u8]) -> Result<Vec<u8>, u16> {
    let result = read(text, |arguments| Ok(arguments.binary()?.as_slice().to_vec()));
    result.map_err(|error| error.code())
}

fn json(text: &[u8]) -> Result<Value, u16> {
    read(text, |it| it.json()).map_err(|error| error.code())
}

#[test]
fn strings_are_read_as_the_reference_reads_them() {
    let sound: [(&[u8], &str); 12] = [
        (b"\"hello\"\0", "hello"),
        (b"\"\"\0", ""),
        (b"null\0", ""),
        (b"  \"ws\" \t\0", "ws"),
        (br#""q\" b\\ s\/ \b\f\n\r\t""#, "q\" b\\ s/ \x08\x0c\n\r\t"),
        (br#""\u0041\u00e9\u20AC""#, "A\u{e9}\u{20ac}"),
        (br#""\ud83d\ude00""#, "\u{1f600}"),
        (br#""\ud83d!\ude00\ud83d\u0041\ud83d""#, "\u{fffd}!\u{fffd}\u{fffd}A\u{fffd}"),
        (b"\"raw\x01\x02\x03\x1f\x7f\0\"\0", "raw\x01\x02\x03\x1f\x7f\0"),
        (b"\"\xc3\xa9\xf0\x9f\x98\x80\"\0", "\u{e9}\u{1f600}"),
        (b"\"\xff\xfe\"\0", "\u{fffd}\u{fffd}"),
        (b"\"\xff\\n\"\0", "\u{fffd}\n"),
    ];
    for (text, value) in sound {
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        assert_eq!(string(&[text, &[0]].concat()), Ok(value.to_owned()));
    }
    let broken: [(&[u8], u16); 15] = [
        (b"", 3),
        (b"\0", 3),
        (b"12\0", 3),
        (b"(3)abc\0", 3),
        (b"{}\0", 3),
        (b"nul\0", 2),
        (b"\"VS0\"", 2),
        (b"\"VS0\"x\0", 2),
        (b"\"VS0\"\0\"extra\"\0", 2),
        (b"\"VS0\"\0\0", 2),
        (b"\"abc\0", 2),
        (b"\"\\x41\"\0", 2),
        (b"\"\\u12g4\"\0", 2),
        (b"\"\\u12\"\0", 2),
        (b"\"\\ud83d\\u00\"\0", 2),
    ];
    for (text, code) in broken {
        assert_eq!(string(text), Err(code), "{text:?}");
    }
}

#[test]
fn faults_are_worded_as_in_the_reference() {
    let text = |text: &[u8]| read(text, |it| it.string().map(drop)).unwrap_err().to_string();
    assert_eq!(text(b"\"VS0\""), "Expected <eoa>, got <eom>. JSON syntax error");
    assert_eq!(text(b"\"VS0\"x\0"), "Expected <eoa>, got 'x'. JSON syntax error");
    assert_eq!(text(b"\"\"\0\"x\"\0"), "Expected <eom>, got '\"'. JSON syntax error");
    assert_eq!(text(b"\"\"\0\x03"), "Expected <eom>, got '\\003'. JSON syntax error");
}

#[test]
fn null_is_told_from_empty_where_it_matters() {
    let optional = |text: &[u8]| read(text, |it| Ok(it.optional_string()?.map(Cow::into_owned)));
    assert_eq!(optional(b"null\0"), Ok(None));
    assert_eq!(optional(b"\"\"\0"), Ok(Some(String::new())));
    let required = |text: &[u8]| read(text, |it| it.required_string().map(Cow::into_owned));
    assert_eq!(required(b"\"\"\0"), Ok(String::new()));
    assert_eq!(required(b"null\0").unwrap_err().code(), 2);
}

#[test]
fn integers_wrap_and_have_no_fraction() {
    let sound: [(&[u8], u64); 8] = [
        (b"0\0", 0),
        (b" 007 \0", 7),
        (b"-1\0", u64::MAX),
        (b"18446744073709551615\0", u64::MAX),
        (b"18446744073709551616\0", 0),
        (b"9223372036854775808\0", 1 << 63),
        (b"-9223372036854775808\0", 1 << 63),
        (b"-0\0", 0),
    ];
    for (text, value) in sound {
        assert_eq!(integer(text), Ok(value));
    }
    for text in ["", "\0", "\"10\"\0", "1e3\0", "1.5\0", "+1\0", "-\0", "null\0", "1", "1\x002\0"] {
        assert_eq!(integer(text.as_bytes()), Err(2), "{text:?}");
    }
}

#[test]
fn booleans_are_two_words() {
    let boolean = |text: &[u8]| read(text, |it| it.boolean()).map_err(|error| error.code());
    assert_eq!(boolean(b"true\0"), Ok(true));
    assert_eq!(boolean(b" false \0"), Ok(false));
    for text in ["1\0", "\0", "", "null\0", "truex\0", "tru\0", "\"true\"\0"] {
        assert_eq!(boolean(text.as_bytes()), Err(2), "{text:?}");
    }
}

#[test]
fn numbers_are_handed_on_as_text() {
    let number = |text: &[u8]| {
        let result = read(text, |it| it.number_text().map(Cow::into_owned));
        result.map_err(|error| error.code())
    };
    for text in ["0", "15E-1", ".5", "+7", "00012", "1e400", "null", "-0."] {
        assert_eq!(number(format!("{text}\0").as_bytes()), Ok(text.to_owned()));
    }
    assert_eq!(number(b"\"1\"\0"), Err(2));
    assert_eq!(number(b"\0"), Err(2));
    assert_eq!(number(&[&[b'1'; 256][..], &[0]].concat()), Err(4));
}

#[test]
fn binary_data_has_three_forms() {
    let sound: [(&[u8], &[u8]); 12] = [
        (b"null\0", b""),
        (b"\"\"\0", b""),
        (b"(0)\0", b""),
        (b"\"YWJj\"\0", b"abc"),
        (b" \"YWI=\" \0", b"ab"),
        (b"\"YQ==YQ==\"\0", b"aa"),
        (b"\"YQ==YWJjYWI=YWJj\"\0", b"aabcababc"),
        (b"\"//79\"\0", b"\xff\xfe\xfd"),
        (b"\"YR==\"\0", b"a"),
        (b"(3)abc\0", b"abc"),
        (b" ( 4)\0\"\x03(\0", b"\0\"\x03("),
        (b"(12)hello, world\0", b"hello, world"),
    ];
    for (text, value) in sound {
        assert_eq!(binary(text).as_deref(), Ok(value), "{text:?}");
    }
    let broken: [(&[u8], u16); 21] = [
        (b"\"YWI\"\0", 8),
        (b"\"YQ\"\0", 8),
        (b"\"YW Jj\"\0", 8),
        (b"\"Y\\u0057Jj\"\0", 8),
        (b"\"Y===\"\0", 8),
        (b"\"YWJjY\"\0", 8),
        (b"\"YQ==YQ=\"\0", 8),
        (b"\"====\"\0", 2),
        (b"\"_-8=\"\0", 2),
        (b"\"YWJj YWJj\"\0", 2),
        (b"\"YWJj\0", 2),
        (b"(10)abc\0", 2),
        (b"(4)abc\0", 2),
        (b"(2)abc\0", 2),
        (b"(-1)abc\0", 2),
        (b"(99999999999999999999)abc\0", 2),
        (b"()\0", 2),
        (b"(3abc\0", 2),
        (b"12\0", 3),
        (b"\0", 3),
        (b"", 3),
    ];
    for (text, code) in broken {
        assert_eq!(binary(text), Err(code), "{text:?}");
    }
}

#[test]
fn a_write_in_one_piece_is_read_where_it_lies() {
    let limits = WireLimits::default();
    let text = b"C\x001\0Streams\0write\0\"VS\xc3\xa9\"\x003\0(3)abc\0";
    let (_, mut arguments) = Body::new(text, &[]).open(&limits).unwrap();
    assert!(matches!(arguments.string().unwrap(), Cow::Borrowed("VS\u{e9}")));
    assert_eq!(arguments.integer().unwrap(), 3);
    assert_eq!(arguments.binary().unwrap(), Binary::Borrowed(b"abc"));
    assert!(arguments.is_empty());
    arguments.end().unwrap();
}

#[test]
fn raw_data_that_fills_its_block_is_not_copied() {
    let limits = WireLimits::default();
    let block = Bytes::from([b"(5000)".as_slice(), &[7; 5000], b"\0(1)x\0"].concat());
    let blocks = [(4, block.clone())];
    let (_, mut arguments) = Body::new(b"R\x001\0", &blocks).open(&limits).unwrap();
    let Binary::Owned(data) = arguments.binary().unwrap() else { panic!() };
    assert_eq!(data.as_ptr(), block[6..].as_ptr());
    assert_eq!(arguments.binary().unwrap(), Binary::Borrowed(b"x"));
    arguments.end().unwrap();
}

#[test]
fn json_is_read_leniently_and_within_bounds() {
    let sound = [
        ("", json!(null)),
        ("null", json!(null)),
        (" [ ] ", json!([])),
        ("[1 , -2,\"a\\u00e9\" , true,false , null]", json!([1, -2, "a\u{e9}", true, false, null])),
        ("{ \"a\" : { } , \"b\":[{\"\":0}]}", json!({"a": {}, "b": [{"": 0}]})),
        ("\"raw\x01\x03\"", json!("raw\x01\x03")),
        ("1.5e3", json!(1500.0)),
        ("+7", json!(7)),
        (".5", json!(0.5)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1e999", json!(null)),
    ];
    for (text, value) in sound {
        assert_eq!(json(format!("{text}\0").as_bytes()), Ok(value), "{text}");
    }
    for text in
        ["[", "[1", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "tru", "1-2", "x", "1x"]
    {
        assert_eq!(json(format!("{text}\0").as_bytes()), Err(2), "{text}");
    }
    assert_eq!(json(b""), Err(2));
    assert_eq!(json(b"[[[1]]]\0"), Ok(json!([[[1]]])));
    assert_eq!(json(b"[[[[1]]]]\0"), Err(4));
    assert_eq!(json(b"{\"a\":{\"a\":{\"a\":{\"a\":1}}}}\0"), Err(4));
    let long = format!("[{}]\0", "1,".repeat(150));
    assert_eq!(json(long.as_bytes()), Err(4));
    assert_eq!(string(format!("\"{}\"\0", "a".repeat(201)).as_bytes()), Err(4));
    assert_eq!(string(format!("\"\\n{}\"\0", "a".repeat(200)).as_bytes()), Err(4));
    assert_eq!(string(format!("\"{}\"\0", "a".repeat(200)).as_bytes()), Ok("a".repeat(200)));
}

#[test]
fn objects_are_told_from_other_values() {
    let object = |text: &[u8]| read(text, |it| it.object()).map_err(|error| error.code());
    assert_eq!(object(b"null\0"), Ok(Map::new()));
    assert_eq!(object(b"{}\0"), Ok(Map::new()));
    assert_eq!(object(b" {\"a\":1} \0").map(Value::Object), Ok(json!({"a": 1})));
    for text in ["[]\0", "\"x\"\0", "1\0", "\0", ""] {
        assert_eq!(object(text.as_bytes()), Err(3), "{text:?}");
    }
    assert_eq!(object(b"{]\0"), Err(2));
}
