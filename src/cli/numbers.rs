//! Values of options that are whole numbers: one parser, so that each error says what is counted, what is allowed, and an
//! example. clap's own says "invalid digit found in string".

use std::fmt;
use std::num::NonZero;
use std::ops::RangeInclusive;

/// A parser of whole numbers inside `range`, which lies inside what `T` holds. `what` is counted; `example` shows good ones.
pub(crate) fn whole<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
    what: &'static str,
    example: &'static str,
) -> impl Fn(&str) -> Result<T, NotWhole> + Clone + Send + Sync + 'static {
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let number = text
            .parse::<u64>()
            .ok()
            .filter(|number| digits && range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or(NotWhole {
            what,
            least: *range.start(),
            most: *range.end(),
            example,
        })
    }
}

/// Queries a second, 0 for no limit.
pub(crate) fn rate() -> impl Fn(&str) -> Result<u32, NotWhole> + Clone + Send + Sync + 'static {
    whole(0..=u64::from(u32::MAX), "queries a second", "500, or 0 for no limit")
}

/// Queries in flight.
pub(crate) fn window() -> impl Fn(&str) -> Result<u16, NotWhole> + Clone + Send + Sync + 'static {
    whole(1..=u64::from(u16::MAX), "queries in flight", "100")
}

/// Threads that ask.
pub(crate) fn workers() -> impl Fn(&str) -> Result<NonZero<u8>, NotWhole> + Clone + Send + Sync + 'static {
    let parse = whole::<u8>(1..=64, "threads", "4");
    move |text| parse(text).map(|number| NonZero::new(number).expect("1 at least"))
}

/// Any number that seeds an order.
pub(crate) fn seed() -> impl Fn(&str) -> Result<u64, NotWhole> + Clone + Send + Sync + 'static {
    whole(0..=u64::MAX, "", "7")
}

/// A text that is no whole number, or not one of those that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotWhole {
    what: &'static str,
    least: u64,
    most: u64,
    example: &'static str,
}

impl std::error::Error for NotWhole {}

impl fmt::Display for NotWhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotWhole {
            what,
            least,
            most,
            example,
        } = self;
        let of = if what.is_empty() { "" } else { " of " };
        write!(f, "a whole number{of}{what} from {least} to {most}, such as {example}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_number_in_range_is_told_what_is() {
        let parse = whole::<u8>(1..=20, "tries", "3");
        assert_eq!((parse("1"), parse("020")), (Ok(1), Ok(20)));
        for text in [
            "",
            "0",
            "21",
            "256",
            "-1",
            "+5",
            " 5",
            "1e1",
            "1.5",
            "0x10",
            "1_0",
            "10s",
            "NaN",
            "٣",
            "18446744073709551616",
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert_eq!(error, "a whole number of tries from 1 to 20, such as 3", "{text:?}");
        }
    }

    #[test]
    fn the_whole_range_is_taken() {
        assert_eq!(seed()("18446744073709551615"), Ok(u64::MAX));
        let error = seed()("-1").expect_err("negative").to_string();
        assert_eq!(error, "a whole number from 0 to 18446744073709551615, such as 7");
    }
}
