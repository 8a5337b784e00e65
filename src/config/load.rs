//! Finds the file, reads it, and puts flags and environment over it.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Error, Settings, file};

/// Settings from the defaults, what the file says over them, and what `flags` (and the environment)
/// change of that. The file is `path` where given; otherwise the first there is of
/// `$XDG_CONFIG_HOME/weir/weir.toml` (`~/.config` where that is not set) and `/etc/weir/weir.toml`,
/// and none is fine.
///
/// # Errors
/// The file cannot be read, is not TOML, has an unknown key, or a value from any source is out of
/// range.
pub fn load(path: Option<&Path>, flags: impl FnOnce(&mut Settings)) -> Result<Settings, Error> {
    let mut settings = match path {
        Some(path) => read(path)?,
        None => search(&standard_places())?,
    };
    flags(&mut settings);
    settings.checked()
}

fn standard_places() -> Vec<PathBuf> {
    let home = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        // The XDG base directory specification: a relative path is invalid and ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")));
    let user = home.map(|home| home.join("weir/weir.toml"));
    user.into_iter().chain([PathBuf::from("/etc/weir/weir.toml")]).collect()
}

/// Reads the first file there is. One that is there and cannot be read is an error, not passed
/// over: its owner believes that it counts.
fn search(places: &[PathBuf]) -> Result<Settings, Error> {
    for path in places {
        match read(path) {
            Err(Error::Unreadable { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            found => return found,
        }
    }
    Ok(Settings::default())
}

fn read(path: &Path) -> Result<Settings, Error> {
    let text = fs::read_to_string(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    file::parse(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Size};

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.toml");
        fs::write(&path, "workers = 3\nname = \"from file\"\n[limits]\nunsent = \"2MiB\"\n")
            .unwrap();
        let settings = load(Some(&path), |settings| settings.workers = 5).unwrap();
        assert_eq!(settings.workers, 5);
        assert_eq!(settings.name, "from file");
        assert_eq!(settings.limits.unsent, Size(2 << 20));
        assert_eq!(settings.listen, [Address::loopback(1534)]);
    }

    #[test]
    fn a_named_file_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.toml");
        let error = load(Some(&path), |_| {}).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: cannot read the configuration file: No such file or directory (os error 2)",
                path.display()
            )
        );
    }

    #[test]
    fn the_search_takes_the_first_file_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let places = [folder.path().join("a/weir.toml"), folder.path().join("b.toml")];
        assert_eq!(search(&places).unwrap(), Settings::default());
        fs::write(&places[1], "workers = 9").unwrap();
        assert_eq!(search(&places).unwrap().workers, 9);
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(&places[0], "workers = 8").unwrap();
        assert_eq!(search(&places).unwrap().workers, 8);
    }
}
