//! The rules of the house that no compiler checks: who may import whom, how long a file may be,
//! what a file must and must not hold, and that documents name only what exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which rooms of this crate a room may name, besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("id", &[]),
    ("access", &[]),
    ("time", &[]),
    ("shown", &[]),
    ("stream", &["access", "id", "stats", "time"]),
    ("wire", &["id"]),
    ("endpoint", &["wire"]),
    ("service", &["wire", "stream", "id"]),
    ("net", &[]),
    ("transport", &["net"]),
    ("stats", &[]),
    (
        "worker",
        &[
            "access",
            "endpoint",
            "id",
            "net",
            "service",
            "stats",
            "stream",
            "time",
            "transport",
            "wire",
        ],
    ),
    ("config", &["admin", "worker"]),
    ("inside", &["client", "endpoint", "id", "net", "wire", "worker"]),
    ("admin", &["client", "id", "inside", "net", "stats", "stream", "time", "worker"]),
    (
        "server",
        &[
            "admin", "config", "endpoint", "id", "inside", "net", "service", "time", "wire",
            "worker",
        ],
    ),
    ("client", &["endpoint", "shown", "wire"]),
    ("bench", &["wire", "shown", "time"]),
    ("cli", &["bench", "client", "config", "server", "shown", "time"]),
];

/// Which rooms may use a library that has no business elsewhere.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("axum", &["admin"]),
    ("clap", &["cli"]),
    ("crossbeam", &["worker", "cli"]),
    ("http_body", &["admin"]),
    ("hyper", &["admin"]),
    ("hyper_util", &["admin"]),
    ("indicatif", &["cli"]),
    ("hdrhistogram", &["bench"]),
    ("mio", &["net", "worker", "server", "bench"]),
    ("prometheus_client", &["admin"]),
    ("rand", &[]),
    ("ratatui", &["cli"]),
    ("rustix", &["bench", "cli", "net", "server", "worker"]),
    ("serde_json", &["wire", "endpoint", "service", "admin", "bench", "client", "cli"]),
    ("signal_hook", &["cli", "server"]),
    ("socket2", &["net", "client", "bench"]),
    ("tokio", &["admin", "inside"]),
    ("toml", &["config"]),
    ("tracing", &["worker", "server", "admin", "cli"]),
];

/// Lines of code, before its tests, that a file may have.
const CODE_LINES_MAX: usize = 500;

/// Columns that a line may have; rustfmt keeps code at 100 and leaves comments alone.
const COLUMNS_MAX: usize = 100;

/// Columns of a line that quotes something, which may not be broken.
const QUOTING_COLUMNS_MAX: usize = 120;

/// Files that may break a rule, which, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "tests/property/promises.rs",
    "files are short",
    "one scenario for each promise, side by side, on one set of helpers",
)];

struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
    /// Whether the file is compiled for tests only.
    is_test: bool,
}

impl File {
    /// The room of a source file: its folder or its own name under `src`.
    fn room(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?;
        Some(inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs"))
    }

    /// The modules that the file declares for tests only, as paths of files.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let mut modules = Vec::new();
        let mut lines = self.text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line != "#[cfg(test)]" {
                continue;
            }
            let declared = lines.next().and_then(|next| next.strip_suffix(';'));
            let name = declared.and_then(|next| next.split("mod ").nth(1));
            modules.extend(name.map(|name| format!("{folder}/{name}")));
        }
        modules
    }

    /// The lines before the file's own tests, with their numbers; comments left out.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        if self.path.starts_with("src/") && self.is_test {
            return code;
        }
        let mut lines = self.text.lines().enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                match lines.peek() {
                    Some((_, next)) if next.starts_with("mod ") && next.ends_with('{') => break,
                    _ => drop(lines.next()),
                }
            } else if !line.trim_start().starts_with("//") {
                code.push((index + 1, line));
            }
        }
        code
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All text files of the project below these folders or with these names.
fn files(places: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    for place in places {
        let path = root().join(place);
        if path.is_file() { paths.push(path) } else { walk(&path, &mut paths) }
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if let Ok(text) = std::fs::read_to_string(&path) {
            let inner = path.strip_prefix(root()).expect("walked from the root");
            let path = inner.to_string_lossy().replace('\\', "/");
            let is_test = path.starts_with("tests/");
            files.push(File { path, text, is_test });
        }
    }
    files
}

fn rust_files(places: &[&str]) -> Vec<File> {
    let mut files = files(places);
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(!files.is_empty());
    let modules: BTreeSet<String> = files.iter().flat_map(File::test_modules).collect();
    for file in &mut files {
        let name = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        file.is_test |= modules.iter().any(|module| {
            name == module || name.strip_prefix(module.as_str()).is_some_and(|r| r.starts_with('/'))
        });
    }
    files
}

fn report(rule: &str, mut faults: Vec<String>) {
    faults.retain(|fault| {
        !EXCEPTIONS.iter().any(|(path, broken, _)| *broken == rule && fault.starts_with(path))
    });
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

/// The words behind `prefix` in a line, each up to the first byte that no name has.
fn names_behind<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            return None;
        }
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

/// The rooms that a line names.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut named: Vec<&str> = names_behind(line, "crate::").collect();
    if let Some((_, group)) = line.split_once("crate::{") {
        // One level is enough: rooms are named there, and what is deeper is inside a room.
        named.extend(group.split(',').flat_map(|item| names_behind(item.trim(), "").take(1)));
    }
    named.retain(|name| !name.is_empty());
    named
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for file in rust_files(&["src"]) {
        let Some(room) = file.room() else { continue };
        if matches!(room, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: the room {room} is not in tests/tidy.rs", file.path));
            continue;
        };
        for (number, line) in file.code() {
            for named in rooms_named(line).into_iter().filter(|named| *named != room) {
                if !allowed.contains(&named) {
                    faults.push(format!("{}:{number}: {room} may not name {named}", file.path));
                }
                used.insert((room.to_owned(), named.to_owned()));
            }
        }
    }
    let allowed = ROOMS.iter().flat_map(|(room, others)| others.iter().map(move |o| (*room, *o)));
    for (room, other) in allowed {
        if !used.contains(&(room.to_owned(), other.to_owned())) {
            faults.push(format!("tests/tidy.rs: {room} may name {other} and never does"));
        }
    }
    report("rooms name only the rooms below them", faults);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for file in rust_files(&["src"]) {
        let room = file.room().expect("a source file has a room").to_owned();
        for (number, line) in file.code() {
            for (library, rooms) in LIBRARIES {
                let path = format!("{library}::");
                if names_behind(line, &path).next().is_none() {
                    continue;
                }
                if !rooms.contains(&room.as_str()) {
                    faults.push(format!("{}:{number}: {room} uses {library}", file.path));
                }
                used.insert((*library, room.clone()));
            }
        }
    }
    let allowed = LIBRARIES.iter().flat_map(|(lib, rooms)| rooms.iter().map(move |r| (*lib, *r)));
    for (library, room) in allowed {
        if !used.contains(&(library, room.to_owned())) {
            faults.push(format!("tests/tidy.rs: {room} may use {library} and never does"));
        }
    }
    report("libraries stay in their rooms", faults);
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for file in rust_files(&["src", "tests", "benches", "tools"]) {
        let lines = file.code().iter().filter(|(_, line)| !line.trim().is_empty()).count();
        if lines > CODE_LINES_MAX {
            faults.push(format!("{}: {lines} lines of code", file.path));
        }
    }
    report("files are short", faults);
}

#[test]
fn lines_are_short() {
    let mut faults = Vec::new();
    for file in rust_files(&["src", "tests", "benches", "tools"]) {
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            let most = if line.contains('"') { QUOTING_COLUMNS_MAX } else { COLUMNS_MAX };
            if columns > most {
                faults.push(format!("{}:{}: {columns} columns", file.path, index + 1));
            }
        }
    }
    report("lines are short", faults);
}

#[test]
fn source_has_no_leftovers() {
    let banned = [".unwrap()", "todo!(", "unimplemented!(", "dbg!("];
    let mut faults = Vec::new();
    for file in rust_files(&["src"]) {
        for (number, line) in file.code() {
            for word in banned {
                if line.contains(word) {
                    faults.push(format!("{}:{number}: {word}", file.path));
                }
            }
        }
    }
    report("source has no leftovers", faults);
}

#[test]
fn tests_wait_for_conditions() {
    let mut faults = Vec::new();
    for file in rust_files(&["tests", "src"]) {
        if file.path == "tests/support/wait.rs" || file.path == "tests/tidy.rs" {
            continue;
        }
        let lines = file.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let in_tests = lines
            .skip_while(|(_, line)| !file.is_test && line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| line.contains("sleep("));
        faults.extend(in_tests.map(|(number, _)| format!("{}:{number}: a sleep", file.path)));
    }
    report("tests wait for conditions", faults);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Vec::new();
    for file in rust_files(&["src", "tests", "benches", "tools"]) {
        if !file.text.starts_with("//! ") {
            faults.push(format!("{}: no module documentation", file.path));
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let nameless = ["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs", "manager.rs"];
        if nameless.contains(&name) {
            faults.push(format!("{}: a name that says nothing", file.path));
        }
    }
    report("every file says what it is for", faults);
}

const PROSE: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "src",
    "tests",
    "benches",
    "tools",
    ".ci",
    "Cargo.toml",
];

#[test]
fn nothing_speaks_of_one_machine_or_of_later() {
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "wt"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut faults = Vec::new();
    for file in files(PROSE) {
        // What others wrote is kept as it came.
        if file.path.ends_with(".jsonl") || file.path.contains("/vendor/") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            for word in banned {
                if line.contains(word) {
                    faults.push(format!("{}:{}: {word}", file.path, index + 1));
                }
            }
        }
    }
    report("nothing speaks of one machine or of later", faults);
}

/// What a document names: targets of links, and paths in backquotes that start at the root.
fn named_paths(text: &str) -> BTreeSet<String> {
    const TOPS: &[&str] = &["src/", "tests/", "tools/", "docs/", "benches/", ".ci/", "examples/"];
    let mut paths = BTreeSet::new();
    for piece in text.split('`').skip(1).step_by(2) {
        let path = piece.split([' ', '\n', ':', '#']).next().unwrap_or_default();
        let is_pattern = path.contains(['*', '<', '{', '\u{2026}']);
        if TOPS.iter().any(|top| path.starts_with(top)) && !is_pattern {
            paths.insert(path.to_owned());
        }
    }
    paths
}

fn linked_paths(text: &str) -> BTreeSet<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| {
        !target.contains("://") && !target.starts_with(['#', '<']) && !target.starts_with("mailto:")
    });
    local.filter_map(|target| target.split('#').next()).map(str::to_owned).collect()
}

#[test]
fn documents_name_only_what_exists() {
    let mut faults = Vec::new();
    for file in files(&["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs"]) {
        if !file.path.ends_with(".md") {
            continue;
        }
        for path in named_paths(&file.text) {
            if !root().join(path.trim_end_matches('/')).exists() {
                faults.push(format!("{}: `{path}` does not exist", file.path));
            }
        }
        let folder = root().join(&file.path);
        let folder = folder.parent().expect("a file has a folder");
        for path in linked_paths(&file.text) {
            if !path.is_empty() && !folder.join(&path).exists() {
                faults.push(format!("{}: the link {path} leads nowhere", file.path));
            }
        }
    }
    report("documents name only what exists", faults);
}

#[test]
fn code_of_others_is_as_it_came() {
    let folder = root().join("src/admin/page/vendor");
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).expect("the sums are there");
    let mut named = BTreeSet::new();
    for line in sums.lines() {
        let (_, path) = line.split_once("  ").expect("a sum and a path");
        named.insert(path.to_owned());
    }
    let mut found = Vec::new();
    walk(&folder, &mut found);
    for path in found {
        let path = path.strip_prefix(&folder).expect("walked from there").to_string_lossy();
        let is_our_own = path == "SHA256SUMS" || path == "README.md";
        assert!(is_our_own || named.contains(&*path), "{path} has no sum");
    }
    let checked = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&folder)
        .output()
        .expect("sha256sum, of coreutils, can be run");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn exceptions_are_still_needed() {
    for (path, _, why) in EXCEPTIONS {
        assert!(root().join(path).exists() && !why.is_empty(), "{path}");
    }
}
