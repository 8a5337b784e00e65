//! A terminal with a shell in it, for tests that type what people type.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::wait::{PATIENCE, wait_until};

/// What the shell says when it waits for a command.
const PROMPT: &str = "what-next>";

/// A shell in a terminal that `script` makes. What is typed is not shown again.
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Opens one in a folder, with these variables and none of the caller's `WEIR_` settings.
    pub fn open(folder: &Path, variables: &[(&str, &str)]) -> Terminal {
        // The shell in between takes no prompt from its environment.
        let shell = format!(
            "stty -echo cols 200 rows 50; \
             exec env PS1='{PROMPT}\\n' bash --norc --noprofile --noediting -i"
        );
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", &shell, "/dev/null"]).current_dir(folder);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WEIR_") {
                command.env_remove(name);
            }
        }
        command.env("TERM", "xterm-256color").env_remove("PROMPT_COMMAND");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = command.spawn().expect("script starts a shell");
        let keyboard = script.stdin.take().expect("it is piped");
        let mut glass = script.stdout.take().expect("it is piped");
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = glass.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]);
                shown.lock().expect("nobody panics with the screen").push_str(&text);
            }
        });
        let terminal = Terminal { script, keyboard, screen };
        wait_until(PATIENCE, "the shell is there", || terminal.prompts() == 1);
        terminal
    }

    /// Types a line. Gives how many prompts there will be once the shell has come back from it.
    pub fn type_line(&mut self, line: &str) -> usize {
        let prompts = self.prompts();
        self.type_keys(&format!("{line}\n"));
        prompts + 1
    }

    /// Presses keys, such as Ctrl-C: `\x03`.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.keyboard.flush().expect("the terminal takes keys");
    }

    /// Everything that was ever shown, without what moves the cursor or paints.
    pub fn screen(&self) -> String {
        let text = self.screen.lock().expect("nobody panics with the screen").clone();
        let mut pieces = text.split("\x1b[");
        let mut plain = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let is_end = |c: char| c.is_ascii_alphabetic();
            plain.push_str(piece.split_once(is_end).map_or("", |(_, rest)| rest));
        }
        plain.replace("\r\n", "\n").replace('\r', "\n")
    }

    /// How often the shell has asked for a command.
    pub fn prompts(&self) -> usize {
        self.screen().matches(PROMPT).count()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for process in session_of(self.script.id()) {
            Command::new("kill").args(["-KILL", &process]).stderr(Stdio::null()).status().ok();
        }
        self.script.kill().ok();
        self.script.wait().ok();
        if std::thread::panicking() {
            eprintln!("a terminal showed:\n{}", self.screen());
        }
    }
}

/// The shell that this process has started, and everything that was started from there.
fn session_of(script: u32) -> Vec<String> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux has /proc").flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, in brackets, may hold anything. Behind it: state, parent, group, session.
        let Some((head, fields)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<String> = fields.split_whitespace().map(str::to_owned).collect();
        let id = head.split(' ').next().expect("a line has a first word").to_owned();
        processes.push((id, fields[1].clone(), fields[3].clone()));
    }
    let shell = processes.iter().find(|(_, parent, _)| *parent == script.to_string());
    let Some((shell, ..)) = shell.cloned() else { return Vec::new() };
    processes.into_iter().filter(|(_, _, session)| *session == shell).map(|(id, ..)| id).collect()
}
