//! The command-line verbs, run as people run them.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::pattern::Checked;
use super::signal::send_signal;
use super::wait::{PATIENCE, wait_for, wait_until};

/// One run of `weir` with its streams connected to the test.
#[derive(Debug)]
pub struct Tool {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Tool {
    /// A command for the binary under test, with none of the caller's `WEIR_` settings.
    pub fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WEIR_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Starts `weir` with these arguments; its output is kept.
    pub fn start(args: &[&str]) -> Tool {
        Tool::start_command(Tool::weir(args))
    }

    /// Starts another program in the same way.
    pub fn start_command(command: Command) -> Tool {
        Tool::spawn(command, None)
    }

    fn weir(args: &[&str]) -> Command {
        let mut command = Tool::command();
        command.args(args);
        command
    }

    /// Starts `weir` with these arguments; its standard output is compared with a pattern as it
    /// comes, and kept only as far as it is wrong.
    pub fn start_checked(args: &[&str], checked: Checked) -> (Tool, Arc<Mutex<Checked>>) {
        let checked = Arc::new(Mutex::new(checked));
        let tool = Tool::spawn(Tool::weir(args), Some(Arc::clone(&checked)));
        (tool, checked)
    }

    fn spawn(mut command: Command, checked: Option<Arc<Mutex<Checked>>>) -> Tool {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = Arc::new(Mutex::new(Vec::new()));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let out = child.stdout.take().expect("stdout is piped");
        let err = child.stderr.take().expect("stderr is piped");
        let readers = vec![collect(out, Arc::clone(&stdout), checked), {
            collect(err, Arc::clone(&stderr), None)
        }];
        Tool { child, stdin, stdout, stderr, readers }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.lock().expect("nobody panics with the output").clone()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        let bytes = self.stderr.lock().expect("nobody panics with the output").clone();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Types into it.
    pub fn type_in(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).expect("it reads its input");
        stdin.flush().expect("it reads its input");
    }

    /// Hands its standard input over, to be written from a thread of the test's.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The stream that `pub` says it writes.
    pub fn told_stream(&self) -> String {
        wait_for(PATIENCE, "pub tells its stream", || {
            let stderr = self.stderr();
            let id = stderr.lines().find_map(|line| line.split("stream VS").nth(1))?;
            let digits: String = id.chars().take_while(char::is_ascii_digit).collect();
            Some(format!("VS{digits}"))
        })
    }

    /// Waits until standard output has exactly these bytes.
    pub fn wait_for_stdout(&self, want: &[u8]) {
        wait_until(PATIENCE, "the bytes are on standard output", || {
            self.stdout().len() >= want.len()
        });
        let got = self.stdout();
        assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string());
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Sends a signal, `INT` or another.
    pub fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end; its standard input is closed first.
    pub fn wait(mut self) -> Outcome {
        self.close_stdin();
        wait_until(PATIENCE * 4, "the tool has ended", || self.poll().is_some());
        let status = self.poll().expect("it has ended");
        for reader in self.readers.drain(..) {
            reader.join().expect("the output was right");
        }
        Outcome { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Runs `weir` with these arguments to its end.
    pub fn run(args: &[&str]) -> Outcome {
        Tool::start(args).wait()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("a tool's standard error: {}", self.stderr());
        }
    }
}

fn collect(
    mut pipe: impl Read + Send + 'static,
    sink: Arc<Mutex<Vec<u8>>>,
    checked: Option<Arc<Mutex<Checked>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buf = vec![0; 65536];
        while let Ok(count @ 1..) = pipe.read(&mut buf) {
            match &checked {
                None => sink
                    .lock()
                    .expect("nobody panics with the output")
                    .extend_from_slice(&buf[..count]),
                Some(checked) => {
                    let verdict = checked.lock().expect("not poisoned").take(&buf[..count]);
                    if let Err(why) = verdict {
                        panic!("standard output: {why}");
                    }
                }
            }
        }
    })
}
