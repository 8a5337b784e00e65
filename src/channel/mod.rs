//! One peer's TCF channel as a state machine: Hello, waiting, closing.
