//! An answer to show, for tests.

use crate::cli::stats::Report;

impl Report {
    /// A broker with a full stream, a slow reader of it, a quick one and one that is away, and an
    /// ended stream with a hostile name.
    pub(crate) fn sample() -> Report {
        let text = r#"{
            "name": "lab", "version": "0.1.0", "uptime_ms": 200000,
            "totals": {"channels": 3, "streams": 2, "readers": 3, "parked_writes": 3,
                "accepted_bytes": 100000000, "delivered_bytes": 200000000, "lost_bytes": 1024,
                "held_bytes": 4194304, "held_bytes_max": 4294967296},
            "streams": [
                {"id": "VS2", "type": "trace", "name": "cpu0", "context_id": "board-1",
                 "direction": "out", "buffer_size": 4194304, "history": 65536,
                 "stall_timeout": 2000, "start": 1024, "end": 4195328, "buffered": 4194304,
                 "rate": 10485760, "parked_writes": 3, "parked_bytes": 3000, "full_ms": 1500,
                 "held_by": {"channel": "0.1.0", "peer": "127.0.0.1:6", "lag": 4194304,
                    "lag_ms": 2100, "says": {"name": "ci-7", "program": "weir tail"}},
                 "owner": "127.0.0.1:5", "owner_says": {"name": "board-1", "user": "root"},
                 "age_ms": 199000, "reader_count": 3,
                 "readers": [
                    {"channel": "0.1.0", "peer": "127.0.0.1:6", "position": 1024, "delivered": 0,
                     "says": {"name": "ci-7", "user": null, "program": "weir tail"},
                     "lost": 1024, "lag": 4194304, "lag_ms": 2100, "stalled": true},
                    {"channel": "1.1.0", "peer": "127.0.0.1:7", "position": 4195328,
                     "delivered": 4195328, "lag": 0, "pending_reads": 1, "says": null},
                    {"channel": "1.2.0", "peer": "127.0.0.1:8", "position": 4195328,
                     "delivered": 0, "says": {"name": "a\u001b[31mb"}, "place": "p",
                     "away": true, "lag": 0}]},
                {"id": "VS3", "type": "console", "name": "a\u001b[31mb", "direction": "out",
                 "buffer_size": 1048576, "eos": true, "something": "of a later version"}]}"#;
        Report::parse(text).unwrap()
    }
}
