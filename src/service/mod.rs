//! TCF services: arguments into commands, replies and events into messages.
