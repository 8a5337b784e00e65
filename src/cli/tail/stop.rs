//! Ctrl-C and SIGTERM: the user is told where to go on, the broker that nothing need be held, and
//! then the program dies of the signal, as one does that takes no notice of signals.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::cli::progress::Speaker;
use crate::cli::tail::copied::Shared;
use crate::cli::tail::go_on::GoOn;

/// How long a write to the output may last before it counts as stuck.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the program lives on for the broker to hear of its end.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// Waits for signals on a thread of its own. `farewell` gives something, or closes, once the broker
/// has ended the channel too.
pub(super) fn watch(
    shared: Arc<Shared>,
    speaker: Speaker,
    go_on: GoOn,
    farewell: crossbeam::channel::Receiver<()>,
) -> io::Result<()> {
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = Signals::new(wanted)?;
    thread::Builder::new().name("weir-signals".to_owned()).spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        stop(&shared, &speaker, &go_on);
        speaker.clear();
        let died = signal;
        if leave(&shared) {
            let _ = farewell.recv_timeout(FAREWELL_PATIENCE);
        }
        let _ = emulate_default_handler(died);
    })?;
    Ok(())
}

/// Stops the writing, and says and keeps how far it has come.
fn stop(shared: &Shared, speaker: &Speaker, go_on: &GoOn) {
    let Some(mut copied) = shared.copied.try_lock_for(WRITE_PATIENCE) else {
        let Some((stream, offset)) = shared.known() else { return };
        return speaker.say(&format!(
            "weir tail: stopped while the output took nothing; it has {stream} up to offset \
             {offset} or a little further"
        ));
    };
    copied.stop();
    let Some(stream) = copied.stream().map(str::to_owned) else { return };
    let offset = copied.offset();
    let how = go_on.command(&stream, offset);
    // Before it is said: who reads that goes on at once.
    let saved = copied.save();
    speaker.say(&format!("weir tail: stopped at offset {offset} of {stream} (go on with {how})"));
    if let Err(error) = saved {
        speaker.say(&format!("weir tail: {}", crate::cli::describe(&error)));
    }
}

/// Ends the channel in good order. Whether there was one.
fn leave(shared: &Shared) -> bool {
    let Some((sender, passing)) = shared.reading() else { return false };
    if let Some(stream) = passing {
        sender.disconnect(&stream);
    }
    sender.end().is_ok()
}

/// Whether whoever started this program wants a signal to have no effect, as `nohup` and a shell's
/// `&` do. As far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
