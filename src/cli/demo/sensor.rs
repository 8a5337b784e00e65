//! An agent with a chatty sensor: many small writes.

use std::time::Duration;

use crate::cli::demo::stage::{Stage, pause};
use crate::client::CreateOptions;

const PERIOD: Duration = Duration::from_millis(50);

/// Creates the stream and measures.
pub(crate) fn enter(stage: &mut Stage) -> anyhow::Result<String> {
    stage.enter(
        "sensor",
        |connection| {
            let options = CreateOptions {
                context: Some("rack-3".to_owned()),
                name: Some("rack-3 climate".to_owned()),
                ..CreateOptions::default()
            };
            connection.create("sensor", &options)
        },
        |connection, stream| {
            for number in 0_u64.. {
                connection.write(&stream, reading(number).into_bytes())?;
                pause(connection, PERIOD)?;
            }
            Ok(())
        },
    )
}

/// The reading with this number: a room that warms and cools.
fn reading(number: u64) -> String {
    let seconds = number as f64 * PERIOD.as_secs_f64();
    let warmth = (seconds / 60.0).sin();
    let temperature = 24.0 + 3.0 * warmth + 0.05 * (seconds * 7.0).sin();
    let humidity = 41.0 - 4.0 * warmth;
    let fan = 1800.0 + 600.0 * warmth;
    format!(
        "{{\"n\":{number},\"t_s\":{seconds:.2},\"temp_c\":{temperature:.2},\
         \"rh_pct\":{humidity:.1},\"fan_rpm\":{fan:.0}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_a_line_of_json() {
        let line = reading(20);
        assert!(line.ends_with('\n'));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&json["n"], &json["t_s"]), (&20.into(), &1.0.into()));
    }
}
