//! A file that keeps the offset across runs.
//!
//! It is written at the start, once a second while bytes come, and at the end, be it a signal or an
//! error. Each time the output is synced first where it is a file; then a new file takes the old
//! one's place, synced too. So it never claims bytes that are not in the output, also after a
//! crash; what the output got after that comes again.
//!
//! A run holds a lock on the file that is in place, so that the next run waits for one that is just
//! ending and two never write one output.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::cli::raw_output::RawOutput;
use crate::time::{Clock, Instant};

/// Longest time for which the file is behind while bytes come.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How long another run that was told to stop may take to end.
const HANDOVER_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// Largest file that is read: a few names and numbers.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// The form of the file.
const VERSION: u64 = 1;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    weir_state: u64,
    /// The broker's process: an ID means the same within one.
    pub(super) broker: String,
    pub(super) stream: String,
    #[serde(rename = "type")]
    pub(super) stream_type: String,
    /// The first byte that is not in the output.
    pub(super) offset: u64,
    /// The reader's place, so that the next run takes it up.
    pub(super) place: Option<String>,
    /// Which file the output was, and how long.
    output: Option<OutputFile>,
}

/// A file on disk, as the system tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OutputFile {
    device: u64,
    inode: u64,
    bytes: u64,
}

/// The file and what belongs into it.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    clock: Clock,
    saved_at: Instant,
    /// The offset that the file has; bytes before it need not be held for us.
    saved: Option<u64>,
    pub(super) is_changed: bool,
    pub(super) broker: String,
    pub(super) stream_type: String,
    pub(super) place: Option<String>,
    /// The file that is in place, locked.
    lock: Option<File>,
}

/// Reads the file, and takes it for this run while the [`File`] is open. `None`: there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<(Kept, File)>> {
    let shown = path.display();
    let cannot_read = || format!("cannot read the state {shown}");
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !folder_of(path).is_dir() {
                bail!("cannot keep the state in {shown}: its folder does not exist");
            }
            return Ok(None);
        }
        result => result.with_context(cannot_read)?,
    };
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        bail!("{shown} is not a state of weir tail: give the name of a file of its own");
    }
    let file = take(path, HANDOVER_PATIENCE).with_context(cannot_read)?;
    let Some(file) = file else {
        bail!("{shown} is in use by another weir tail: stop that one, or give another file");
    };
    let text = fs::read(path).with_context(cannot_read)?;
    match serde_json::from_slice::<Kept>(&text) {
        Ok(kept) if kept.weir_state == VERSION => Ok(Some((kept, file))),
        Ok(kept) => bail!("{shown} has version {}, this program knows {VERSION}", kept.weir_state),
        Err(error) => bail!(
            "{shown} is not a state of weir tail ({error}): give the name of a file of its own"
        ),
    }
}

/// Locks the file that is in place. `None`: another run has it and does not end.
fn take(path: &Path, patience: Duration) -> std::io::Result<Option<File>> {
    let clock = Clock::start();
    loop {
        let file = File::open(path)?;
        match file.try_lock() {
            // Another run may have put a new file in its place.
            Ok(()) if identity(&file.metadata()?) == identity(&fs::metadata(path)?) => {
                return Ok(Some(file));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                if clock.now().instant.since(Instant::default()) >= patience {
                    return Ok(None);
                }
                std::thread::sleep(LOOK_AGAIN_AFTER);
            }
            // Not every file system has locks.
            Err(TryLockError::Error(_)) => return Ok(Some(file)),
        }
    }
}

impl Kept {
    /// Checks that the output is the one that the file speaks of, where it is a file: it must have
    /// what is claimed. Gives how many bytes more it has.
    pub(super) fn check_output(&self, path: &Path, output: &RawOutput) -> anyhow::Result<u64> {
        let now = output.file_metadata().and_then(|metadata| identify(&metadata));
        match (self.output, now) {
            (Some(then), Some(now)) if (then.device, then.inode) == (now.device, now.inode) => {
                let (shown, wanted) = (path.display(), then.bytes);
                now.bytes.checked_sub(wanted).with_context(|| {
                    format!(
                        "the output has {} bytes, and {shown} says that it has {wanted}: append to \
                         it (>> instead of >), or remove {shown} to begin again",
                        now.bytes
                    )
                })
            }
            _ => Ok(0),
        }
    }
}

impl StateFile {
    /// `lock`: the file that is in place, as [`read`] gave it.
    pub(super) fn new(
        path: PathBuf,
        broker: String,
        place: Option<String>,
        lock: Option<File>,
    ) -> StateFile {
        let clock = Clock::start();
        let saved_at = clock.now().instant;
        let stream_type = String::new();
        StateFile {
            path,
            clock,
            saved_at,
            saved: None,
            is_changed: false,
            broker,
            stream_type,
            place,
            lock,
        }
    }

    /// The offset that is kept safely.
    pub(super) fn saved(&self) -> Option<u64> {
        self.saved
    }

    /// How long it may still wait to be saved. `None`: nothing has changed.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let since = self.clock.now().instant.since(self.saved_at);
        let wait = if self.saved.is_none() { Duration::ZERO } else { SAVE_EVERY };
        self.is_changed.then(|| wait.saturating_sub(since))
    }

    /// Keeps the offset of the first byte that is not in the output.
    pub(super) fn save(
        &mut self,
        stream: &str,
        offset: u64,
        output: &RawOutput,
    ) -> anyhow::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        output.sync()?;
        let kept = Kept {
            weir_state: VERSION,
            broker: self.broker.clone(),
            stream: stream.to_owned(),
            stream_type: self.stream_type.clone(),
            offset,
            place: self.place.clone(),
            output: output.file_metadata().and_then(|metadata| identify(&metadata)),
        };
        let file = replace(&self.path, &kept)
            .with_context(|| format!("cannot keep the state in {}", self.path.display()))?;
        self.lock = Some(file);
        self.saved = Some(offset);
        self.saved_at = self.clock.now().instant;
        self.is_changed = false;
        Ok(())
    }
}

/// Puts a new file, locked, in the old one's place, both safely on the disk before anybody relies
/// on it.
fn replace(path: &Path, kept: &Kept) -> std::io::Result<File> {
    let mut text = serde_json::to_vec_pretty(kept).expect("names and numbers make JSON");
    text.push(b'\n');
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::create(&new)?;
    // Not every file system has locks.
    let _ = file.try_lock();
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(folder_of(path))?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// What tells a file from another one, as far as the system has that.
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    identify(metadata).map(|file| (file.device, file.inode))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn identify(metadata: &Metadata) -> Option<OutputFile> {
    use std::os::unix::fs::MetadataExt;
    Some(OutputFile { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.len() })
}

#[cfg(not(unix))]
fn identify(_: &Metadata) -> Option<OutputFile> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_anything_else_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(read(&path).unwrap().is_none());
        let place = Some("p".to_owned());
        let mut state = StateFile::new(path.clone(), "broker".to_owned(), place, None);
        state.stream_type = "log".to_owned();
        let output = RawOutput::to(Vec::new());
        assert_eq!(state.due_in(), None);
        state.is_changed = true;
        assert_eq!(state.due_in(), Some(Duration::ZERO));
        state.save("VS1", 42, &output).unwrap();
        assert_eq!((state.saved(), state.due_in()), (Some(42), None));
        drop(state);
        let (kept, lock) = read(&path).unwrap().unwrap();
        drop(lock);
        let names = [&kept.broker, &kept.stream, &kept.stream_type].map(String::as_str);
        assert_eq!((names, kept.offset), (["broker", "VS1", "log"], 42));
        assert_eq!(kept.check_output(&path, &output).unwrap(), 0);
        for text in ["", "{}", "[1]", r#"{"weir_state":1,"offset":-1}"#] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("not a state of weir tail"), "{error}");
        }
        assert!(read(folder.path()).is_err());
        let error = read(&folder.path().join("none/state")).unwrap_err().to_string();
        assert!(error.ends_with("its folder does not exist"), "{error}");
    }
    #[test]
    fn who_is_just_ending_is_waited_for_and_who_goes_on_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let output = RawOutput::to(Vec::new());
        let mut state = StateFile::new(path.clone(), "broker".to_owned(), None, None);
        for offset in [1, 2] {
            state.is_changed = true;
            state.save("VS1", offset, &output).unwrap();
            assert!(take(&path, Duration::ZERO).unwrap().is_none(), "it is in use");
        }
        let next = std::thread::spawn({
            let path = path.clone();
            move || read(&path).unwrap().unwrap().0.offset
        });
        state.is_changed = true;
        state.save("VS1", 3, &output).unwrap();
        drop(state);
        assert_eq!(next.join().unwrap(), 3);
    }
}
