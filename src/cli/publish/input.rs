//! Where a publisher's bytes come from.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use anyhow::Context;

/// Standard input or a file.
pub(super) struct Input {
    pub(super) bytes: Box<dyn Read + Send>,
    /// The count of bytes, for a file.
    pub(super) size: Option<u64>,
    /// Whether somebody has to type it.
    pub(super) is_typed: bool,
}

impl Input {
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Input> {
        match path {
            None => {
                let is_typed = io::stdin().is_terminal();
                Ok(Input { bytes: Box::new(io::stdin()), size: None, is_typed })
            }
            Some(path) if path == Path::new("-") => Input::open(None),
            Some(path) => {
                let open = || {
                    let file = File::open(path)?;
                    let metadata = file.metadata()?;
                    match metadata.is_dir() {
                        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
                        false => Ok((file, metadata.is_file().then_some(metadata.len()))),
                    }
                };
                let (file, size) =
                    open().with_context(|| format!("cannot read {}", path.display()))?;
                Ok(Input { bytes: Box::new(file), size, is_typed: false })
            }
        }
    }
}
