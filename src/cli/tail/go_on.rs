//! The command that reads a stream on.

use crate::cli::args::TailArgs;
use crate::client::DEFAULT_PORT;
use crate::shown;

/// What a run needs that reads on where this one stopped.
#[derive(Clone, Debug)]
pub(super) struct GoOn {
    /// The broker, unless it is where every verb looks for it.
    broker: Option<String>,
    /// Whether a file has the offset.
    has_state: bool,
}

impl GoOn {
    pub(super) fn new(args: &TailArgs) -> GoOn {
        let broker = args.broker.broker.to_string();
        let usual = format!("127.0.0.1:{DEFAULT_PORT}");
        GoOn { broker: (broker != usual).then_some(broker), has_state: args.state.is_some() }
    }

    /// What to type.
    pub(super) fn command(&self, stream: &str, offset: u64) -> String {
        if self.has_state {
            return "the same command".to_owned();
        }
        let broker = self.broker.as_ref().map(|broker| format!("--broker {broker} "));
        let (broker, stream) = (broker.unwrap_or_default(), shown::line(stream));
        format!("`weir tail {broker}--id {stream} --from {offset}`")
    }
}
