//! The whole program from outside: a real broker, real sockets, the tools as people run them, and a
//! client that others wrote.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod conformance_scenario;
mod dashboard;
mod demo;
mod documents;
mod exit_codes;
mod fan_out;
mod hostile_input;
mod hostile_names;
mod http_connections;
mod http_post;
mod http_tail;
mod idle_memory;
mod introductions;
mod memory_limit;
mod metrics;
mod offsets;
mod python_client;
#[cfg(target_os = "linux")]
mod refusals;
mod relay;
mod reload;
mod resume;
mod shutdown;
mod siege;
mod slow_readers;
mod stall;
mod standstill;
mod stats;
mod tools;
mod top;
mod wrong_input;
