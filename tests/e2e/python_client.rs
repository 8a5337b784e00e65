//! The Python client `eclipsetcf`, unmodified.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::peer::quoted;
use crate::support::{Pattern, TestServer};

/// The interpreter of `WEIR_TEST_PYTHON`, or of the environment that `tools/check` makes.
pub fn python() -> PathBuf {
    let path = match std::env::var_os("WEIR_TEST_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"),
    };
    assert!(
        path.exists() || path.components().count() == 1,
        "no Python with the TCF client at {}: run tools/check once, which makes .venv, or set \
         WEIR_TEST_PYTHON to a Python that has eclipsetcf==1.0.1",
        path.display()
    );
    path
}

pub fn script(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/python").join(name))
        .args(args)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null());
    command
}

#[test]
fn python_client_reads_a_stream_to_its_end() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("read");
    let path = file.to_str().expect("a path in UTF-8");
    let reader = Child::start(script("read_stream.py", &[&server.broker(), "PyRead", path]));
    reader.wait_for_line("subscribed");

    let mut writer = server.zero_copy_peer();
    let properties = json!({"ContextID": "P1", "StallTimeout": null, "BufferSize": 50_000});
    let stream = writer.create("PyRead", properties);
    let pattern = Pattern::new(11);
    let data = pattern.bytes(0, 1_000_000);
    let writes: Vec<String> =
        data.chunks(12_345).map(|piece| writer.start_write(&stream, piece)).collect();
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    for token in writes {
        assert_eq!(writer.code_of(&token), 0);
    }
    reader.wait_for_line(&format!("created {stream} P1"));
    reader.finish();
    assert!(std::fs::read(&file).expect("the script wrote it") == data, "the bytes are the same");
}

#[test]
fn python_client_finds_a_stream_that_runs_already() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("read");
    let path = file.to_str().expect("a path in UTF-8");
    let mut writer = server.peer();
    let stream = writer.create("PyLate", json!({}));
    assert_eq!(writer.write(&stream, b"from before, "), 0);
    let reader = Child::start(script("read_stream.py", &[&server.broker(), "PyLate", path]));
    reader.wait_for_line("subscribed");
    reader.wait_for_line(&format!("created {stream} None"));
    assert_eq!(writer.write(&stream, b"and from now"), 0);
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    reader.finish();
    assert_eq!(std::fs::read(&file).expect("the script wrote it"), b"from before, and from now");
}

#[test]
fn python_client_writes_a_stream() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("data");
    let data = Pattern::new(12).bytes(0, 300_000);
    std::fs::write(&file, &data).expect("a temporary file");
    let mut reader = server.zero_copy_peer();
    let properties = json!({"Direction": "in", "BufferSize": 10_000, "StallTimeout": null});
    let stream = reader.create("PyWrite", properties);
    let path = file.to_str().expect("a path in UTF-8");
    let writer = Child::start(script("write_stream.py", &[&server.broker(), &stream, path]));
    let mut got = Vec::new();
    loop {
        let reply = reader.read(&stream, 1 << 20);
        assert_eq!((reply.code, reply.lost), (0, 0));
        got.extend(reply.data);
        if reply.eos {
            break;
        }
    }
    assert!(got == data, "the bytes are the same");
    writer.finish();
}

/// A script under way.
struct Child(crate::support::Tool);

impl Child {
    fn start(command: Command) -> Child {
        Child(crate::support::Tool::start_command(command))
    }

    fn wait_for_line(&self, line: &str) {
        let what = format!("the script says {line:?}");
        crate::support::wait_until(crate::support::PATIENCE * 2, &what, || {
            let stderr = self.0.stderr();
            assert!(!stderr.contains("Traceback"), "{stderr}");
            String::from_utf8_lossy(&self.0.stdout()).lines().any(|told| told == line)
        });
    }

    fn finish(self) {
        let outcome = self.0.wait();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("Traceback"), "{}", outcome.stderr);
    }
}
