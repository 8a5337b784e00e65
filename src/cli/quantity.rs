//! Numbers for people, as the dashboard shows them.

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Bytes with two or three digits: `812 B`, `4.0 MiB`, `37 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A whole number as people read long ones: `588,895`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes a second.
pub(crate) fn rate(per_second: u64) -> String {
    format!("{}/s", bytes(per_second))
}

/// A time: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let minutes = seconds / 60;
    let hours = minutes / 60;
    match seconds {
        0 => format!("{ms} ms"),
        1..10 => format!("{:.1} s", ms as f64 / 1000.0),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let shown: Vec<String> =
            [0, 999, 1000, 4 << 20, 10_200_000, 3 << 30].map(bytes).into_iter().collect();
        assert_eq!(shown, ["0 B", "999 B", "1.0 KiB", "4.0 MiB", "9.7 MiB", "3.0 GiB"]);
        assert_eq!(bytes(u64::MAX), "16384 PiB");
        assert_eq!(rate(10 << 20), "10 MiB/s");
        assert_eq!([0, 999, 1000, 588_895].map(grouped), ["0", "999", "1,000", "588,895"]);
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        let shown = [340, 4200, 59_999, 200_000, 7_500_000, 273_600_000].map(span);
        assert_eq!(shown, ["340 ms", "4.2 s", "59 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"]);
    }
}
