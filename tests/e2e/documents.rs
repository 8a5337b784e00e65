//! What README and QUICKSTART tell people to type, typed into terminals: each command runs as it
//! stands on the page, and what the page shows behind it must come.
//!
//! Only this is other than on the page: `weir` is the program under test, ports are free ones, and
//! for `cargo run --release --`, the Python of `.venv`, `dmesg` and `big.log` there is what the
//! tests have in their place. Of what is shown, numbers may differ, and what stands behind the
//! words of a line.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::python_client::python;
use crate::support::{PATIENCE, Terminal, Tool, wait_until};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A command of a page and the lines that it shows.
#[derive(Debug)]
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands in a page's console blocks, in order.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        match (is_inside, line, line.strip_prefix("$ ")) {
            (false, "```console", _) => is_inside = true,
            (true, "```", _) => is_inside = false,
            (true, _, Some(command)) => {
                steps.push(Step { command: command.to_owned(), shown: Vec::new() });
            }
            (true, _, None) => {
                let step = steps.last_mut().expect("a block begins with a command");
                step.shown.push(line.to_owned());
            }
            _ => {}
        }
    }
    steps
}

/// The words of a line that are the same each time: no numbers, no units, and not how a reader is
/// just now.
fn words(line: &str) -> Vec<&str> {
    const VARYING: &str = " B KiB MiB GiB B/s KiB/s MiB/s ms s min h % reading lagging stalled ";
    let is_same = |word: &&str| {
        let bare = word.trim_matches([',', '.', '(', ')']);
        !bare.contains(|c: char| c.is_ascii_digit()) && !VARYING.contains(&format!(" {bare} "))
    };
    line.split_whitespace().filter(is_same).collect()
}

/// Whether these lines of a page are in the text. Those of what runs in the background come when
/// they like.
fn has_lines(text: &str, lines: &[String]) -> bool {
    let is_shown = |expected: &[&str]| text.lines().any(|line| words(line).starts_with(expected));
    lines.iter().all(|line| is_shown(&words(line)))
}

/// A page that is being worked through.
struct Page {
    folder: tempfile::TempDir,
    terminals: Vec<Terminal>,
    /// The terminal in which the broker runs, and where it listens.
    broker: Option<Broker>,
    /// The terminal that has nothing to do.
    idle: Option<usize>,
}

struct Broker {
    terminal: usize,
    tcf: String,
    http: String,
}

impl Page {
    fn open() -> Page {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(folder.path().join("bin")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_weir"), folder.path().join("bin/weir")).expect("a link");
        symlink(root.join("tests"), folder.path().join("tests")).expect("a link");
        let dmesg = folder.path().join("bin/dmesg");
        // It goes on, as `dmesg --follow` does.
        let script = "#!/bin/sh\necho the kernel says so\nexec sleep 600\n";
        std::fs::write(&dmesg, script).expect("a file");
        std::fs::set_permissions(&dmesg, PermissionsExt::from_mode(0o755)).expect("its rights");
        std::fs::write(folder.path().join("big.log"), vec![b'x'; 300_000]).expect("a file");
        Page { folder, terminals: Vec::new(), broker: None, idle: None }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("the page has started one")
    }

    fn file(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A terminal that has nothing to do.
    fn idle_terminal(&mut self) -> usize {
        if let Some(place) = self.idle.take() {
            return place;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.folder.path().join("bin").display());
        let (tcf, http) = match &self.broker {
            Some(broker) => (broker.tcf.as_str(), broker.http.as_str()),
            None => ("127.0.0.1:0", "127.0.0.1:0"),
        };
        let home = self.folder.path().display().to_string();
        let mut variables =
            vec![("PATH", path.as_str()), ("XDG_CONFIG_HOME", &home), ("WEIR_HTTP", http)];
        match self.broker {
            Some(_) => variables.push(("WEIR_BROKER", tcf)),
            None => variables.push(("WEIR_LISTEN", tcf)),
        }
        self.terminals.push(Terminal::open(self.folder.path(), &variables));
        self.terminals.len() - 1
    }

    /// A command as it can run here.
    fn adapt(&self, command: &str) -> String {
        let mut command = command
            .replace("cargo run --release --", "weir")
            .replace("cargo run --release", "weir")
            .replace(".venv/bin/python", &python().display().to_string());
        if let Some(Broker { tcf, http, .. }) = &self.broker {
            for (typed, address) in [("1534", tcf), ("9534", http)] {
                command = command
                    .replace(&format!("localhost:{typed}"), address)
                    .replace(&format!("127.0.0.1:{typed}"), address);
            }
        }
        command
    }

    /// Types a command and waits for what the page shows. Gives its terminal.
    fn follow(&mut self, step: &Step) -> usize {
        let command = self.adapt(&step.command);
        let is_broker = matches!(command.as_str(), "weir" | "weir demo");
        if is_broker {
            self.stop_broker();
        }
        let place = self.idle_terminal();
        let from = self.terminals[place].screen().len();
        let prompts = self.terminals[place].type_line(&command);
        let keys = step.shown.iter().position(|line| line.starts_with('^'));
        let shown: Vec<String> = step.shown[..keys.unwrap_or(step.shown.len())]
            .iter()
            .map(|line| match cfg!(debug_assertions) {
                true => line.replace("build: release", "build: debug"),
                false => line.clone(),
            })
            .collect();
        self.wait_for_lines(place, &step.command, &shown, from);
        if let Some(keys) = keys {
            self.wait_until_time_for_keys(&step.command);
            let keys = match step.shown[keys].as_str() {
                "^C" => CTRL_C,
                "^Z" => CTRL_Z,
                other => panic!("what is {other} in {step:?}?"),
            };
            self.terminals[place].type_keys(keys);
        }
        if is_broker {
            self.note_broker(place, from);
        } else if keys.is_some() || !goes_on(&command) {
            let terminal = &self.terminals[place];
            let what = format!("the shell comes back from {}", step.command);
            wait_until(PATIENCE * 2, &what, || terminal.prompts() >= prompts);
            self.idle = Some(place);
        }
        place
    }

    fn wait_for_lines(&self, terminal: usize, command: &str, lines: &[String], from: usize) {
        let terminal = &self.terminals[terminal];
        let what = format!("{command} shows {lines:#?}");
        wait_until(PATIENCE, &what, || has_lines(&terminal.screen()[from..], lines));
    }

    /// Waits as the reader of the page does before pressing the keys that stop this command.
    fn wait_until_time_for_keys(&self, command: &str) {
        let has_come = |text: &str| self.file("trace.txt").contains(text);
        match command {
            "fg" => wait_until(PATIENCE, "the gap is marked", || has_come("bytes lost")),
            _ => wait_until(PATIENCE, "the trace has come for a while", || has_come("\n")),
        }
    }

    fn note_broker(&mut self, terminal: usize, from: usize) {
        let screen = self.terminals[terminal].screen();
        let text = &screen[from..];
        let between = |before: &str, after: char| {
            let (_, rest) = text.split_once(before).expect("the ready line has it");
            rest.split(after).next().expect("a split has a first part").to_owned()
        };
        let (tcf, http) = (between("TCP:", ' '), between("http://", '/'));
        self.broker = Some(Broker { terminal, tcf, http });
    }

    fn stop_broker(&mut self) {
        let Some(Broker { terminal, .. }) = self.broker.take() else { return };
        let prompts = self.terminals[terminal].prompts();
        self.terminals[terminal].type_keys(CTRL_C);
        let terminal = &self.terminals[terminal];
        wait_until(PATIENCE, "Ctrl-C stops the broker", || terminal.prompts() > prompts);
        self.terminals.clear();
        self.idle = None;
    }

    /// A stream that is there, as `weir stats` has it.
    fn stream(&self, id: &str) -> Value {
        let stats = Tool::run(&["stats", "--json", "--stream", id, "--http", &self.broker().http]);
        let stats: Value = serde_json::from_slice(&stats.stdout).expect("JSON");
        stats["streams"][0].clone()
    }
}

/// Whether a command comes back only when it is stopped.
fn goes_on(command: &str) -> bool {
    let is_endless = ["weir tail", "weir top", "curl -N", "dmesg"];
    is_endless.iter().any(|start| command.starts_with(start)) && !command.ends_with('&')
}

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    std::fs::read_to_string(path).expect("the page is there")
}

#[test]
fn the_quickstart_works_as_it_is_typed() {
    let steps = steps(&read("docs/QUICKSTART.md"));
    assert!(steps.len() >= 12, "{steps:#?}");
    let mut page = Page::open();
    for step in &steps {
        if step.command == "fg" {
            wait_until(PATIENCE, "the stopped reader is left behind", || {
                let stream = page.stream("VS2");
                let readers = stream["readers"].as_array().expect("readers").iter();
                let behind = readers.filter(|reader| reader["front"] == "http");
                behind.map(|reader| reader["lag"].as_u64()).max() > Some(Some(16 << 20))
            });
        }
        page.follow(step);
    }
    // No hole and nothing twice, over two runs.
    let log = || page.file("sensor.log");
    let number = |line: &str| serde_json::from_str::<Value>(line).ok()?["n"].as_u64();
    let stopped = log().lines().filter_map(number).max().expect("the first run has written");
    wait_until(PATIENCE, "the second run goes on", || {
        log().lines().filter_map(number).max() > Some(stopped)
    });
    let numbers: Vec<Option<u64>> = log().lines().map(number).collect();
    let whole = &numbers[..numbers.len() - 1];
    assert!(whole.iter().zip(0..).all(|(&got, want)| got == Some(want)), "{numbers:?}");
    let tail = Step { command: "weir tail --type kernel".to_owned(), shown: vec![] };
    let place = page.follow(&tail);
    page.wait_for_lines(place, &tail.command, &["the kernel says so".to_owned()], 0);
}

/// How a reader of README sees that an example works: what the terminal or a file then shows.
enum Sign {
    Screen(&'static str),
    File(&'static str, &'static str),
    /// The command has nothing to show but that it succeeds.
    Success,
}

/// For each of the further examples in README, by how it begins.
const SIGNS: &[(&str, Sign)] = &[
    ("dmesg -w |", Sign::Screen("stream VS")),
    ("weir tail --type kernel", Sign::Screen("the kernel says so")),
    ("weir pub --keep-for", Sign::Success),
    ("weir tail --state", Sign::File("log", "the kernel says so")),
    ("weir ls", Sign::Screen("kernel")),
    ("weir top", Sign::Screen("weir top")),
    ("weir stats", Sign::Screen("kernel")),
    ("curl -s ", Sign::Screen("\"totals\"")),
    ("curl -N ", Sign::Screen("the kernel says so")),
    ("uptime |", Sign::Screen("\"accepted\"")),
];

#[test]
fn the_readme_works_as_it_is_typed() {
    let text = read("README.md");
    let mut page = Page::open();
    let mut tails = Vec::new();
    for step in &steps(&text) {
        let is_tail = step.command.ends_with(" tail");
        // "In a second and a third terminal."
        for _ in 0..if is_tail { 2 } else { 1 } {
            let place = page.follow(step);
            tails.extend(is_tail.then_some(place));
        }
    }
    assert_eq!(tails.len(), 2, "the page waits for a stream");
    for &tail in &tails {
        page.wait_for_lines(tail, "tail", &["hello from the device".to_owned()], 0);
    }

    let (_, examples) = text.split_once("More to try:\n\n```sh\n").expect("there are examples");
    let (examples, _) = examples.split_once("```").expect("they end");
    assert_eq!(examples.lines().count(), SIGNS.len(), "each has its sign: {examples}");
    for (example, (start, sign)) in examples.lines().zip(SIGNS) {
        assert!(example.starts_with(start), "{example}");
        try_example(&mut page, example, sign);
    }
}

fn try_example(page: &mut Page, example: &str, sign: &Sign) {
    let typed = example.split("  #").next().expect("a split has a first part").trim_end();
    // The page says that `weir ls` shows the IDs there are.
    let kernel = Tool::run(&["ls", "--json", "--broker", &page.broker().tcf]);
    let kernel: Vec<Value> = serde_json::from_slice(&kernel.stdout).expect("a list");
    let kernel = kernel.iter().find(|stream| stream["Type"] == "kernel");
    let id = kernel.map_or("VS0", |stream| stream["ID"].as_str().expect("an ID"));
    let step = Step { command: typed.replace("VS0", id), shown: Vec::new() };
    let from = page.idle.map_or(0, |place| page.terminals[place].screen().len());
    let place = page.follow(&step);
    match sign {
        Sign::Screen(text) => {
            let terminal = &page.terminals[place];
            let what = format!("{typed} shows {text}");
            wait_until(PATIENCE, &what, || terminal.screen()[from..].contains(text));
        }
        Sign::File(name, text) => {
            let what = format!("{typed} writes {text}");
            wait_until(PATIENCE, &what, || page.file(name).contains(text));
        }
        Sign::Success => {}
    }
    if page.idle.is_some() {
        page.follow(&Step { command: "echo code $?".to_owned(), shown: vec!["code".to_owned()] });
        let screen = page.terminals[place].screen();
        assert!(screen.trim_end().contains("code 0"), "{typed}: {screen}");
    }
}
