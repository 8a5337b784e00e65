//! `weir demo`, as a newcomer meets it.

use serde_json::{Value, json};

use crate::support::{PATIENCE, Tool, wait_until};

/// A demo on ports of its own.
#[derive(Debug)]
pub struct Demo {
    pub tool: Tool,
    pub broker: String,
    pub http: String,
}

impl Demo {
    /// Starts it, and waits until it has said what to try.
    pub fn start() -> Demo {
        let flags = ["demo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"];
        let tool = Tool::start(&flags);
        wait_until(PATIENCE, "the demo has said what to try", || {
            tool.stderr().contains("Ctrl-C ends everything")
        });
        let text = String::from_utf8(tool.stdout()).expect("the ready line is text");
        let line = text.lines().next().expect("the ready line comes first");
        let ready: Value = serde_json::from_str(line).expect("the ready line is JSON");
        let text = |value: &Value| value.as_str().expect("an address").to_owned();
        Demo { broker: text(&ready["listen"][0]), http: text(&ready["http"]), tool }
    }

    fn list(&self) -> Vec<Value> {
        let list = Tool::run(&["ls", "--json", "--broker", &self.broker]);
        assert_eq!(list.code, Some(0), "{}", list.stderr);
        serde_json::from_slice(&list.stdout).expect("a list")
    }

    fn tail(&self, stream_type: &str, flags: &[&str]) -> Tool {
        let mut args = vec!["tail", "--broker", &self.broker, "--type", stream_type];
        args.extend(flags);
        Tool::start(&args)
    }
}

fn shows(tool: &Tool, text: &str) -> bool {
    String::from_utf8_lossy(&tool.stdout()).contains(text)
}

#[test]
fn the_demo_shows_its_streams_and_answers_what_is_typed() {
    let mut demo = Demo::start();
    let types: Vec<Value> = demo.list().iter().map(|stream| stream["Type"].clone()).collect();
    for expected in ["boot", "sensor", "trace", "console", "console-in"] {
        assert!(types.contains(&json!(expected)), "{expected} in {types:?}");
    }
    let boot = demo.tail("boot", &[]);
    wait_until(PATIENCE, "a late host sees the boot from its first line", || {
        shows(&boot, "Booting Linux on") && shows(&boot, "Reached target Multi-User System.")
    });
    let sensor = demo.tail("sensor", &["--from", "latest"]);
    wait_until(PATIENCE, "the sensor measures", || shows(&sensor, "\"temp_c\""));
    wait_until(PATIENCE, "the trace flows", || {
        demo.list().iter().any(|s| s["Type"] == "trace" && s["End"].as_u64() > Some(5_000_000))
    });
    let console = demo.tail("console", &[]);
    demo.tool.type_in(b"echo typed here\n");
    wait_until(PATIENCE, "the console answers for all to see", || {
        shows(&console, "\r\ntyped here\r\n")
    });
    wait_until(PATIENCE, "and in the demo's terminal", || shows(&demo.tool, "\r\ntyped here\r\n"));
}

#[test]
fn the_slow_reader_holds_the_trace_and_then_lags() {
    let demo = Demo::start();
    let trace = |demo: &Demo| {
        demo.list().into_iter().find(|stream| stream["Type"] == "trace").expect("it is there")
    };
    wait_until(PATIENCE, "the trace waits for its slow reader", || {
        trace(&demo)["ParkedWrites"] != json!(0)
    });
    let full_at = trace(&demo)["End"].as_u64().expect("an offset");
    wait_until(PATIENCE, "and goes on without it", || {
        trace(&demo)["End"].as_u64() > Some(full_at + 8_000_000)
    });
}

#[test]
fn an_interrupt_ends_all_of_it_in_good_order() {
    let demo = Demo::start();
    let console = demo.tail("console", &["--retry-for", "0"]);
    wait_until(PATIENCE, "somebody watches", || !console.stdout().is_empty());
    demo.tool.signal("INT");
    let outcome = demo.tool.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("WARN"), "{}", outcome.stderr);
    assert_eq!(console.wait().code, Some(75), "the host is told that its broker went");
}
