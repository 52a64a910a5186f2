//! The times of a certificate (RFC 5280 section 4.1.2.5), as OpenSSL reads and prints them.

use super::der::{self, Element};

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Seconds since 1970 in UTC.
    pub(crate) seconds: i64,
    /// The digits after a point in the seconds, as they stand there.
    fraction: String,
    /// Whether it ends in `Z`.
    is_utc: bool,
}

impl Time {
    /// Reads a UTCTime or a GeneralizedTime; none where it is neither, or no such time exists.
    ///
    /// RFC 5280 wants seconds and `Z`; older certificates leave out seconds or say a difference from UTC.
    pub(crate) fn new(time: &Element<'_>) -> Option<Self> {
        let text = std::str::from_utf8(time.value).ok().filter(|text| text.is_ascii())?;
        let (year, rest) = match time.tag {
            der::UTC_TIME => {
                let (year, rest) = number(text, 2)?;
                // RFC 5280 section 4.1.2.5.1.
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            der::GENERALIZED_TIME => number(text, 4)?,
            _ => return None,
        };
        let (month, rest) = number(rest, 2)?;
        let (day, rest) = number(rest, 2)?;
        let (hour, rest) = number(rest, 2)?;
        let (minute, rest) = number(rest, 2)?;
        let (second, rest) = number(rest, 2).unwrap_or((0, rest));
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) if time.tag == der::GENERALIZED_TIME => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
                rest.split_at(end)
            }
            _ => ("", rest),
        };
        let difference = match rest.split_at_checked(1)? {
            ("Z", "") => 0,
            (sign @ ("+" | "-"), rest) => {
                let (hours, rest) = number(rest, 2)?;
                let (minutes, rest) = number(rest, 2)?;
                let is_difference = hours <= 12 && minutes <= 59 && rest.is_empty();
                is_difference.then_some(if sign == "+" { 1 } else { -1 } * (hours * 3600 + minutes * 60))?
            }
            _ => return None,
        };
        let exists = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 59;
        exists.then(|| Self {
            seconds: days_before(year, month, day) * DAY + hour * 3600 + minute * 60 + second - difference,
            fraction: fraction.to_owned(),
            is_utc: rest == "Z",
        })
    }
}

impl std::fmt::Display for Time {
    /// `Nov 23 08:22:00 2026 GMT`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = date(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"???");
        write!(f, "{month} {day:2} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        write!(f, " {year}{}", if self.is_utc { " GMT" } else { "" })
    }
}

/// The number that the first digits make.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?.map(|number| (number, rest))
}

/// Days from 1970 to a day of the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end in the day that is not always there.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 1
        - DAYS_BEFORE_1970
}

/// The day of the calendar, so many days after 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_1970;
    let mut year = days.div_euclid(366);
    while days_before(year + 1, 3, 1) + DAYS_BEFORE_1970 <= days {
        year += 1;
    }
    let day = days - (days_before(year, 3, 1) + DAYS_BEFORE_1970);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const DAY: i64 = 86_400;
/// From the 1st of March of the year 0 on.
const DAYS_BEFORE_1970: i64 = 719_468;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(tag: u8, value: &[u8]) -> Option<Time> {
        Time::new(&Element { tag, value, whole: &[] })
    }

    #[test]
    fn times_read_as_openssl_prints_them() {
        type Row = (&'static str, u8, &'static [u8], Option<(&'static str, i64)>);
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("UTCTime", der::UTC_TIME, b"261123082200Z", Some(("Nov 23 08:22:00 2026 GMT", 1_795_422_120))),
            ("the first second", der::UTC_TIME, b"700101000000Z", Some(("Jan  1 00:00:00 1970 GMT", 0))),
            ("the last year of UTCTime", der::UTC_TIME, b"491231235959Z", Some(("Dec 31 23:59:59 2049 GMT", 2_524_607_999))),
            ("the first year of UTCTime", der::UTC_TIME, b"500101000000Z", Some(("Jan  1 00:00:00 1950 GMT", -631_152_000))),
            ("GeneralizedTime", der::GENERALIZED_TIME, b"20500101000000Z", Some(("Jan  1 00:00:00 2050 GMT", 2_524_608_000))),
            ("before 1950", der::GENERALIZED_TIME, b"19490228000000Z", Some(("Feb 28 00:00:00 1949 GMT", -657_676_800))),
            ("the last second of all", der::GENERALIZED_TIME, b"99991231235959Z", Some(("Dec 31 23:59:59 9999 GMT", 253_402_300_799))),
            ("the year 0", der::GENERALIZED_TIME, b"00000101000000Z", Some(("Jan  1 00:00:00 0 GMT", -62_167_219_200))),
            ("a leap day", der::UTC_TIME, b"240229120000Z", Some(("Feb 29 12:00:00 2024 GMT", 1_709_208_000))),
            ("no leap day", der::UTC_TIME, b"230229120000Z", None),
            ("without seconds", der::UTC_TIME, b"2611230822Z", Some(("Nov 23 08:22:00 2026 GMT", 1_795_422_120))),
            ("a difference from UTC", der::UTC_TIME, b"261123092200+0100", Some(("Nov 23 08:22:00 2026", 1_795_422_120))),
            ("a fraction", der::GENERALIZED_TIME, b"20261123082200.5Z", Some(("Nov 23 08:22:00.5 2026 GMT", 1_795_422_120))),
            ("a fraction of no digits", der::GENERALIZED_TIME, b"20261123082200.Z", None),
            ("no zone", der::UTC_TIME, b"261123082200", None),
            ("a month too many", der::UTC_TIME, b"261323082200Z", None),
            ("a sign in a number", der::UTC_TIME, b"26+123082200Z", None),
            ("no ASCII", der::UTC_TIME, b"26\xc3\xa9123082200Z", None),
            ("no time", 4, b"261123082200Z", None),
        ];
        for (what, tag, value, expected) in rows {
            let found = time(*tag, value).map(|time| (time.to_string(), time.seconds));
            assert_eq!(found, expected.map(|(text, seconds)| (text.to_owned(), seconds)), "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn dates_and_days_are_each_others_inverse(days in -719_528_i64..2_932_896) {
            let (year, month, day) = date(days);
            prop_assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day));
            prop_assert_eq!(days_before(year, month, day), days);
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "[0-9]{8,16}(\\.[0-9]*)?(Z|[+-][0-9]{4})?", generalized: bool) {
            let tag = if generalized { der::GENERALIZED_TIME } else { der::UTC_TIME };
            if let Some(time) = time(tag, text.as_bytes()) {
                prop_assert!(!time.to_string().contains("???"));
            }
        }
    }
}
