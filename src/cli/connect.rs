//! Connections of the verbs, which say who they are.

use crate::cli::args::{BrokerArgs, CallerArgs};
use crate::client::{Address, ClientError, ConnectOptions, Connection, Introduction};

/// Where to connect, and who is calling.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    broker: Address,
    introduction: Introduction,
}

impl Caller {
    /// A verb of this program, run by this user on this machine, unless the user says otherwise.
    pub(crate) fn new(verb: &str, args: &BrokerArgs) -> Caller {
        Caller { broker: args.broker.clone(), introduction: introduction(verb, &args.caller) }
    }

    /// The broker.
    pub(crate) fn broker(&self) -> &Address {
        &self.broker
    }

    /// Connects.
    pub(crate) fn connect(&self) -> Result<Connection, ClientError> {
        self.connect_with(ConnectOptions::default())
    }

    /// Connects. The introduction is on its way with the first command.
    pub(crate) fn connect_with(&self, options: ConnectOptions) -> Result<Connection, ClientError> {
        let connection = Connection::connect_with(&self.broker, &options)?;
        connection.introduce(&self.introduction);
        Ok(connection)
    }
}

/// What a verb of this program says of itself.
pub(crate) fn introduction(verb: &str, args: &CallerArgs) -> Introduction {
    Introduction {
        name: args.introduced_as.clone().or_else(host_name),
        user: ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()),
        program: Some(format!("weir {verb} {}", env!("CARGO_PKG_VERSION"))),
    }
}

/// The machine's name, where the system tells.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
