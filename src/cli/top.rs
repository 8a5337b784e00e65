//! `weir top`: the numbers of a broker in the terminal, once a second.
//!
//! One thread asks `/stats`; the main thread waits for its answers and for keys, and draws. `view`
//! holds what is shown, `screen` draws it, `keys` says what a key does.

mod hangup;
mod keys;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::thread::{self, Builder};
use std::time::Duration;

use anyhow::bail;
use crossbeam::channel::{Receiver, bounded};
use ratatui::crossterm::event;

use crate::cli::Exit;
use crate::cli::args::TopArgs;
use crate::cli::stats::{FetchError, Fetcher, Report};

use view::View;

/// How long a key or an answer may wait to be seen.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Shortest time between two looks at the broker.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// What came of one look at the broker.
type Look = Result<Report, String>;

/// Watches until the user has seen enough.
pub(crate) fn run(args: &TopArgs) -> anyhow::Result<Exit> {
    let fetcher = Fetcher::new(&args.http.http)?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("top needs a terminal; `weir stats` prints the same numbers anywhere");
    }
    // A broker that is not there is told at once, in the shell.
    let first = look(&fetcher)?;
    let mut view = View::new(fetcher.address().to_string());
    view.take(first);
    let looks = look_for_ever(fetcher, Duration::from_millis(args.every).max(EVERY_MIN))?;
    hangup::end_with_the_terminal()?;
    // Gives the terminal back at a panic too.
    let mut terminal = ratatui::try_init()?;
    let watched = watch(&mut terminal, &mut view, &looks);
    ratatui::try_restore()?;
    watched.map(|()| Exit::Ok)
}

fn look(fetcher: &Fetcher) -> anyhow::Result<Report> {
    Ok(Report::parse(&fetcher.get("/stats")?)?)
}

/// Looks on a thread of its own; the thread ends when nobody takes its looks any more.
fn look_for_ever(fetcher: Fetcher, every: Duration) -> io::Result<Receiver<Look>> {
    let (sender, receiver) = bounded(1);
    Builder::new().name("weir-look".to_owned()).spawn(move || {
        loop {
            thread::sleep(every);
            // Where is known; why, in the few words that a line has room for.
            let look = look(&fetcher).map_err(|error| match error.downcast_ref() {
                Some(FetchError::Unreachable { error, .. }) => error.kind().to_string(),
                _ => error.to_string(),
            });
            if sender.send(look).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    looks: &Receiver<Look>,
) -> anyhow::Result<()> {
    let mut is_stale = true;
    loop {
        if is_stale {
            terminal.draw(|frame| screen::draw(frame, view))?;
        }
        is_stale = false;
        for look in looks.try_iter() {
            match look {
                Ok(report) => view.take(report),
                Err(why) => view.miss(why),
            }
            is_stale = true;
        }
        if event::poll(LOOK_EVERY)? {
            let event = event::read()?;
            is_stale = true;
            if let Some(key) = event.as_key_press_event()
                && keys::press(view, key) == keys::Then::Quit
            {
                return Ok(());
            }
        }
    }
}
