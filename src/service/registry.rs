//! Which service has which command.

use crate::service::{Handler, diagnostics, locator, stream_broker, streams};

/// The services that our Hello lists. `ZeroCopy` has no commands: it says that we understand BIN
/// blocks and `(N)` data.
pub const SERVICES: [&str; 5] = ["Locator", "Streams", "Diagnostics", "ZeroCopy", "StreamBroker"];

/// The handler of a command; `None` where the answer is `N`.
pub fn find(service: &[u8], name: &[u8]) -> Option<Handler> {
    match service {
        b"Streams" => streams::find(name),
        b"Locator" => locator::find(name),
        b"StreamBroker" => stream_broker::find(name),
        b"Diagnostics" => diagnostics::find(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_but_zero_copy_has_a_command() {
        let known = ["sync", "read", "echo", "no such command", "create"];
        for (service, name) in SERVICES.iter().zip(known) {
            let found = find(service.as_bytes(), name.as_bytes()).is_some();
            assert_eq!(found, *service != "ZeroCopy", "{service}.{name}");
        }
    }

    #[test]
    fn unknown_services_and_commands_have_no_handler() {
        for (service, name) in [
            ("Streams", "reads"),
            ("Streams", ""),
            ("streams", "read"),
            ("", ""),
            ("Locator", "publishPeer"),
            ("Diagnostics", "not implemented command"),
            ("StreamBroker", "rename"),
        ] {
            assert!(find(service.as_bytes(), name.as_bytes()).is_none(), "{service}.{name}");
        }
    }
}
