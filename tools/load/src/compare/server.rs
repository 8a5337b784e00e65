//! Servers that are started for a comparison and stopped after it.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use weir::bench::{Protocol, Tcf, TcfOptions};

use crate::{Mqtt, Nats, Raw, Redis};

/// How often a server that does not tell when it is ready is asked, and how long in between.
const KNOCKS: u32 = 200;
const BETWEEN_KNOCKS: Duration = Duration::from_millis(50);

/// All servers that run, so that a signal can stop them too.
static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// A fan-out without a protocol.
    Fanout,
    /// Weir as it comes: with no setting but where it listens.
    AsItComes,
    /// Weir, with so many workers.
    Weir(u16),
    /// nats-server.
    Nats,
    /// redis-server.
    Redis,
    /// mosquitto.
    Mosquitto,
}

impl Contender {
    /// Whether it is Weir, however set.
    pub fn is_weir(self) -> bool {
        matches!(self, Contender::AsItComes | Contender::Weir(_))
    }

    /// For tables.
    pub fn name(self) -> String {
        match self {
            Contender::Fanout => "fan-out".to_owned(),
            Contender::AsItComes => "Weir as it comes".to_owned(),
            Contender::Weir(1) => "Weir, 1 worker".to_owned(),
            Contender::Weir(workers) => format!("Weir, {workers} workers"),
            Contender::Nats => "nats-server".to_owned(),
            Contender::Redis => "redis-server".to_owned(),
            Contender::Mosquitto => "mosquitto".to_owned(),
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `weir`.
    pub weir: PathBuf,
    /// `fanout`.
    pub fanout: PathBuf,
    /// `nats-server`.
    pub nats: PathBuf,
    /// `redis-server`.
    pub redis: PathBuf,
    /// `mosquitto`.
    pub mosquitto: PathBuf,
}

impl Programs {
    /// The ones built beside this program, and those of the system.
    ///
    /// # Errors
    /// Where this program is cannot be told.
    pub fn beside_this() -> Result<Programs> {
        let this = std::env::current_exe()?;
        let mut folder = this.parent().context("a program lies in a folder")?.to_owned();
        if folder.ends_with("deps") {
            // A test lies one below.
            folder.pop();
        }
        Ok(Programs {
            weir: folder.join("weir"),
            fanout: folder.join("fanout"),
            nats: "nats-server".into(),
            redis: "redis-server".into(),
            mosquitto: "mosquitto".into(),
        })
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Who it is.
    pub contender: Contender,
    /// Its process.
    pub pid: u32,
    address: SocketAddr,
    /// Where subscribers connect, if that is elsewhere.
    subscribers: SocketAddr,
}

impl Server {
    /// Starts a server on free ports of the loopback interface and waits until it is ready.
    /// `folder` is for what it writes.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(contender: Contender, programs: &Programs, folder: &Path) -> Result<Server> {
        let what = || format!("starting {}", contender.name());
        match contender {
            Contender::AsItComes => start_weir(programs, contender, &[]).with_context(what),
            Contender::Weir(workers) => {
                let workers = workers.to_string();
                start_weir(programs, contender, &["--workers", &workers]).with_context(what)
            }
            Contender::Fanout => start_fanout(programs).with_context(what),
            Contender::Nats => start_nats(programs, folder).with_context(what),
            Contender::Redis => start_redis(programs, folder).with_context(what),
            Contender::Mosquitto => start_mosquitto(programs, folder).with_context(what),
        }
    }

    /// How to put a load on it.
    pub fn protocol(&self, options: TcfOptions) -> Box<dyn Protocol> {
        match self.contender {
            Contender::AsItComes | Contender::Weir(_) => Box::new(Tcf::new(self.address, options)),
            Contender::Fanout => {
                Box::new(Raw { publishers: self.address, subscribers: self.subscribers })
            }
            Contender::Nats => Box::new(Nats::new(self.address)),
            Contender::Redis => Box::new(Redis { address: self.address }),
            Contender::Mosquitto => Box::new(Mqtt { address: self.address }),
        }
    }

    fn new(contender: Contender, pid: u32, address: SocketAddr) -> Server {
        Server { contender, pid, address, subscribers: address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(|child| child.id() == self.pid);
    }
}

/// Stops every server that was started here.
pub fn stop_all() {
    stop(|_| true);
}

fn stop(is_meant: impl Fn(&Child) -> bool) {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain_mut(|child| {
        if is_meant(child) {
            // One that has ended by itself needs no more than to be waited for.
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        true
    });
}

fn spawn(command: &mut Command) -> Result<(u32, Option<String>)> {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let pid = child.id();
    let stdout = child.stdout.take();
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    let mut line = None;
    if let Some(stdout) = stdout {
        let mut text = String::new();
        if BufReader::new(stdout).read_line(&mut text)? == 0 {
            bail!("{program} ended before it was ready");
        }
        line = Some(text);
    }
    Ok((pid, line))
}

fn start_weir(programs: &Programs, contender: Contender, flags: &[&str]) -> Result<Server> {
    let (pid, line) = spawn(
        Command::new(&programs.weir)
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "off", "--json"])
            .args(["--config", "/dev/null"])
            .args(flags)
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped()),
    )?;
    let line: serde_json::Value = serde_json::from_str(&line.unwrap_or_default())?;
    let address = line["listen"][0].as_str().context("the ready line has an address")?;
    Ok(Server::new(contender, pid, address.parse()?))
}

fn start_fanout(programs: &Programs) -> Result<Server> {
    let (pid, line) = spawn(Command::new(&programs.fanout).stdout(Stdio::piped()))?;
    let line = line.unwrap_or_default();
    let address = |name: &str| -> Result<SocketAddr> {
        let text = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        Ok(text.with_context(|| format!("the ready line is {line:?}"))?.parse()?)
    };
    let mut server = Server::new(Contender::Fanout, pid, address("publishers=")?);
    server.subscribers = address("subscribers=")?;
    Ok(server)
}

fn start_nats(programs: &Programs, folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let file = folder.join("nats.conf");
    // Nobody is to be dropped as a slow consumer: the load is a closed loop.
    std::fs::write(
        &file,
        format!(
            "listen: \"{address}\"\nmax_pending: 1GB\nwrite_deadline: \"60s\"\n\
             max_connections: 65536\nmax_payload: 8MB\nping_interval: \"60m\"\n"
        ),
    )?;
    let command = Command::new(&programs.nats);
    let (pid, _) = spawn({ command }.arg("-c").arg(&file).stdout(Stdio::null()))?;
    knock(address)?;
    Ok(Server::new(Contender::Nats, pid, address))
}

fn start_redis(programs: &Programs, folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let (pid, _) = spawn(
        Command::new(&programs.redis)
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--maxclients", "60000"])
            .args(["--client-output-buffer-limit", "pubsub", "0", "0", "0"])
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null()),
    )?;
    knock(address)?;
    Ok(Server::new(Contender::Redis, pid, address))
}

fn start_mosquitto(programs: &Programs, folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let file = folder.join("mosquitto.conf");
    // Nothing is to be dropped for a subscriber that is behind: the load is a closed loop.
    std::fs::write(
        &file,
        format!(
            "listener {} {}\nallow_anonymous true\npersistence false\nlog_type none\n\
             max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nuser root\n",
            address.port(),
            address.ip()
        ),
    )?;
    let command = Command::new(&programs.mosquitto);
    let (pid, _) = spawn({ command }.arg("-c").arg(&file).stdout(Stdio::null()))?;
    knock(address)?;
    Ok(Server::new(Contender::Mosquitto, pid, address))
}

/// A port that is free now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody accepts.
fn knock(address: SocketAddr) -> Result<()> {
    for _ in 0..KNOCKS {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_KNOCKS);
    }
    bail!("it does not listen at {address}")
}
