//! Timestamps as text: `2026-11-25T02:00:00Z`, with a fraction or an offset where there is one.

/// Days from 0000-03-01 to 1970-01-01 in the Gregorian calendar.
const EPOCH_DAYS: i64 = 719_468;

/// Seconds since 1970 of a date and time as in ISO 8601. A date alone is its midnight, a time without an offset is UTC.
pub(super) fn parse(text: &str) -> Option<f64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, offset_seconds) = split_offset(time)?;
    Some((days(year, month, day) * 86_400 - offset_seconds) as f64 + of_day(time)?)
}

/// Days since 1970-01-01. Years are counted from March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH_DAYS
}

/// `10:20:30.5` as seconds; what is left out on the right is 0.
fn of_day(time: &str) -> Option<f64> {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = whole.split(':');
    let hours = digits(parts.next()?, 2)?;
    let minutes = digits(parts.next()?, 2)?;
    let seconds = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    // A leap second is the next minute's first.
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let fraction = fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("0.{fraction}"))?;
    Some((hours * 3_600 + minutes * 60 + seconds) as f64 + fraction.parse::<f64>().ok()?)
}

/// Cuts `Z`, `+01:00`, `+0100` or `+01` off; gives what is before it and how many seconds it is east of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (time, offset) = time.split_at(at);
    let (sign, offset) = offset.split_at(1);
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None => offset.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes, 2)? };
    let seconds = digits(hours, 2)? * 3_600 + minutes * 60;
    Some((time, if sign == "-" { -seconds } else { seconds }))
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_time_is_read_in_every_form_clients_write() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2016-12-01T00:00:00Z", 1_480_550_400.0),
            ("2016-12-01", 1_480_550_400.0),
            ("2016-12-01T01:00:00+01:00", 1_480_550_400.0),
            ("2016-11-30T16:00:00-0800", 1_480_550_400.0),
            ("2016-12-01 00:00:00", 1_480_550_400.0),
            ("2000-02-29T12:00:00.25Z", 951_825_600.25),
            ("2026-03-01T00:00:00z", 1_772_323_200.0),
            ("1969-12-31T23:59:59Z", -1.0),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_time() {
        for text in [
            "",
            "now",
            "2016",
            "2016-12",
            "2016-13-01",
            "2016-12-01T",
            "2016-12-01T1:00:00Z",
            "2016-12-01T00:00:00.xZ",
            "2016-12-01T00:00:00+é",
            "2016-12-01T00:00:00+1",
            "+016-12-01",
            "99999999999999999999-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
