//! How figures are written. One place, so that every report writes the same figure the same way.

use std::collections::BTreeMap;

use crate::metric::Unit;

/// Bytes in MiB below 10 GiB, in GiB above; never less than three significant digits.
#[must_use]
pub fn bytes(value: f64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = value / MIB;
    if !value.is_finite() {
        "?".to_owned()
    } else if mib.abs() >= 10_240.0 {
        format!("{:.1} GiB", mib / 1024.0)
    } else if mib.abs() >= 100.0 || value == 0.0 {
        format!("{mib:.0} MiB")
    } else if mib.abs() >= 1.0 {
        format!("{mib:.1} MiB")
    } else if value.abs() >= 1024.0 {
        format!("{:.1} KiB", value / 1024.0)
    } else {
        format!("{value:.0} B")
    }
}

/// A time given in milliseconds.
#[must_use]
pub fn millis(ms: f64) -> String {
    if !ms.is_finite() {
        "?".to_owned()
    } else if ms >= 120_000.0 {
        let seconds = (ms / 1000.0).round();
        format!(
            "{:.0} min {:02.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        )
    } else if ms >= 10_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 1000.0 {
        format!("{:.2} s", ms / 1000.0)
    } else if ms >= 100.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.2} ms")
    }
}

/// A plain number with at most three digits after the point and thousands separated.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let digits = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// A value with its unit.
#[must_use]
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::Milliseconds => millis(value),
        Unit::Microseconds => millis(value / 1000.0),
        Unit::MilliCpu => format!("{} mCPU", number(value)),
        Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Ratio => percent(value),
        Unit::Count => number(value),
    }
}

/// A share between 0 and 1 as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1} %", share * 100.0)
    } else {
        "?".to_owned()
    }
}

/// The unit's name in machine-readable files, such as `milli_cpu`.
#[must_use]
pub fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::MilliCpu => "milli_cpu",
        Unit::Milliseconds => "milliseconds",
        Unit::Microseconds => "microseconds",
        Unit::Count => "count",
        Unit::PerSecond => "per_second",
        Unit::Ratio => "ratio",
    }
}

/// A name and its labels: `create (clients=16)`.
#[must_use]
pub fn labelled(name: &str, labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    format!("{name} ({})", pairs(labels, ", "))
}

/// Labels as `key=value`, joined.
#[must_use]
pub fn pairs(labels: &BTreeMap<String, String>, with: &str) -> String {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(with)
}

/// `1 check`, `2 checks`.
#[must_use]
pub fn count(n: usize, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(bytes(536_870_912.0), "512 MiB");
        assert_eq!(bytes(1_572_864.0), "1.5 MiB");
        assert_eq!(bytes(2048.0), "2.0 KiB");
        assert_eq!(bytes(12.0 * 1024.0 * 1024.0 * 1024.0), "12.0 GiB");
        assert_eq!(bytes(f64::NAN), "?");
        assert_eq!(millis(0.25), "0.25 ms");
        assert_eq!(millis(8123.0), "8.12 s");
        assert_eq!(millis(200_000.0), "3 min 20 s");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(-1234.5), "-1,234");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(0.0), "0");
        assert_eq!(value(0.5, Unit::Ratio), "50.0 %");
        assert_eq!(count(1, "check"), "1 check");
        assert_eq!(count(0, "check"), "0 checks");
    }

    #[test]
    fn unit_names_are_those_of_the_record() {
        for unit in [
            Unit::Bytes,
            Unit::MilliCpu,
            Unit::Milliseconds,
            Unit::Microseconds,
            Unit::Count,
            Unit::PerSecond,
            Unit::Ratio,
        ] {
            assert_eq!(
                serde_json::to_value(unit).unwrap(),
                unit_name(unit),
                "{unit:?}"
            );
        }
    }
}
