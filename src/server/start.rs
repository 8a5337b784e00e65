//! Wires the threads together and spawns them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tracing::{debug, info};

use crate::admin::{About, Control};
use crate::config::Settings;
use crate::id::WorkerId;
use crate::inside::{self, Workers};
use crate::server::acceptor::Acceptor;
use crate::server::bind::{Bound, bind};
use crate::server::identity::identity;
use crate::server::{Addresses, Server, StartError, WakeServer, fatal};
use crate::time::Clock;
use crate::worker::{
    Doorbell, Favour, Inbox, Links, MAIL_MAX, Mail, Outbox, PhaseFlag, Placement, SystemPoller,
    Tuning, WAKE, Worker, cores, mailbox,
};

/// A thread's poller and the bell that wakes it.
struct Sleeper {
    poll: mio::Poll,
    bell: Arc<Doorbell>,
}

/// One worker's inbox, and its outboxes to the others.
struct Post {
    inbox: Inbox<Mail>,
    outboxes: Vec<(WorkerId, Outbox<Mail>)>,
}

pub(crate) fn start(settings: Settings) -> Result<Server, StartError> {
    raise_descriptor_limit();
    let Bound { tcf, http } = bind(&settings)?;
    let addresses = Addresses {
        tcf: tcf.iter().map(|listener| listener.address()).collect(),
        http: http.as_ref().and_then(|listener| listener.local_addr().ok()),
    };
    let system = |what| move |source| StartError::System { what, source };
    let sleepers: Vec<Sleeper> = (0..settings.workers)
        .map(|_| sleeper())
        .collect::<io::Result<_>>()
        .map_err(system("a worker"))?;
    let accept_sleeper = sleeper().map_err(system("the acceptor"))?;

    let (wake, rung) = sync_channel(1);
    let (posts, to_accept, to_control) = wire(&sleepers, &accept_sleeper);
    let mut server = Server {
        addresses,
        clock: Clock::start(),
        tuning: Arc::new(Tuning::new(settings.worker_limits(), settings.limits.channels_max)),
        settings: settings.clone(),
        phase: Arc::new(PhaseFlag::default()),
        placement: Arc::new(Placement::new(settings.workers)),
        bells: sleepers.iter().chain([&accept_sleeper]).map(|s| Arc::clone(&s.bell)).collect(),
        bell: Arc::new(Doorbell::new(WakeServer(wake))),
        rung,
        threads: Vec::new(),
        control: None,
        signals: None,
    };
    // From here on dropping the server stops what has been spawned.
    spawn_workers(&mut server, &settings, sleepers, posts).map_err(system("a worker"))?;
    let acceptor = Acceptor {
        clock: server.clock,
        poll: accept_sleeper.poll,
        bell: accept_sleeper.bell,
        listeners: tcf,
        outboxes: to_accept,
        placement: Arc::clone(&server.placement),
        phase: Arc::clone(&server.phase),
        tuning: Arc::clone(&server.tuning),
    };
    let thread = fatal::spawn("weir-accept".to_owned(), move || acceptor.run());
    server.threads.push(thread.map_err(system("the acceptor"))?);
    if let Some(listener) = http {
        let about = About {
            name: settings.name.clone(),
            host: match &settings.http {
                crate::config::HttpAddress::At(address) => address.host.clone(),
                crate::config::HttpAddress::Off => String::new(),
            },
            clock: server.clock,
            timeouts: settings.http_timeouts(),
        };
        let workers =
            Workers::new(to_control, Arc::clone(&server.placement), Arc::clone(&server.tuning));
        let control = Control::start(listener, workers, about).map_err(system("HTTP"))?;
        server.control = Some(control);
    }
    info!(tcf = ?server.addresses.tcf, http = ?server.addresses.http, workers = settings.workers, "listening");
    Ok(server)
}

fn sleeper() -> io::Result<Sleeper> {
    let poll = mio::Poll::new()?;
    let bell = Arc::new(Doorbell::new(mio::Waker::new(poll.registry(), WAKE)?));
    Ok(Sleeper { poll, bell })
}

/// A mailbox for each worker, with an outbox for every other worker, for the acceptor and for the
/// control thread.
fn wire(
    sleepers: &[Sleeper],
    acceptor: &Sleeper,
) -> (Vec<Post>, Vec<Outbox<Mail>>, Vec<Outbox<Mail>>) {
    let mut outboxes: Vec<Vec<(WorkerId, Outbox<Mail>)>> =
        sleepers.iter().map(|_| Vec::new()).collect();
    let (mut inboxes, mut to_accept, mut to_control) = (Vec::new(), Vec::new(), Vec::new());
    let control_bell = inside::bell();
    for (index, receiver) in sleepers.iter().enumerate() {
        let others = (0..sleepers.len()).filter(|&other| other != index);
        let senders: Vec<Arc<Doorbell>> = others
            .clone()
            .map(|other| &sleepers[other].bell)
            .chain([&acceptor.bell, &control_bell])
            .map(Arc::clone)
            .collect();
        let (mut ends, inbox) = mailbox(MAIL_MAX, &receiver.bell, &senders);
        to_control.extend(ends.pop());
        to_accept.extend(ends.pop());
        for (other, end) in others.zip(ends) {
            outboxes[other].push((WorkerId(index as u16), end));
        }
        inboxes.push(inbox);
    }
    let posts = inboxes
        .into_iter()
        .zip(outboxes)
        .map(|(inbox, outboxes)| Post { inbox, outboxes })
        .collect();
    (posts, to_accept, to_control)
}

fn spawn_workers(
    server: &mut Server,
    settings: &Settings,
    sleepers: Vec<Sleeper>,
    posts: Vec<Post>,
) -> io::Result<()> {
    let identity = Arc::new(identity(&settings.name, &server.addresses.tcf));
    let cores = cores::allowed();
    // Only where each core gets one. With fewer workers the choice of cores would be arbitrary, and
    // the same for every broker on the machine; whoever wants certain cores runs us under
    // `taskset`.
    let may_pin = settings.pin && usize::from(settings.workers) == cores.len();
    let favour = Arc::new(Favour::default());
    for (index, (sleeper, post)) in sleepers.into_iter().zip(posts).enumerate() {
        let links = Links {
            poller: SystemPoller::new(sleeper.poll, server.clock),
            bell: sleeper.bell,
            inbox: post.inbox,
            outboxes: post.outboxes,
            placement: Arc::clone(&server.placement),
            tuning: Arc::clone(&server.tuning),
            favour: Arc::clone(&favour),
            phase: Arc::clone(&server.phase),
            server_bell: Arc::clone(&server.bell),
        };
        let limits = settings.worker_limits();
        let identity = Arc::clone(&identity);
        let core = may_pin.then(|| cores[index]);
        let thread = fatal::spawn(format!("weir-worker-{index}"), move || {
            if let Some(core) = core
                && let Err(error) = cores::pin(core)
            {
                debug!(worker = index, core, %error, "worker not pinned");
            }
            // Built on its own thread, so that its memory is near its core.
            Worker::new(WorkerId(index as u16), limits, identity, links).run()
        })?;
        server.threads.push(thread);
    }
    Ok(())
}

/// Lifts the soft bound on file descriptors, often 1024, to the hard one. One for each connection
/// is needed.
#[cfg(target_os = "linux")]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        debug!(%error, "the bound on file descriptors stays");
    }
}

#[cfg(not(target_os = "linux"))]
fn raise_descriptor_limit() {}
