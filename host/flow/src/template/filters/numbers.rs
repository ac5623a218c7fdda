//! Filters for numbers. Whole numbers stay whole and exact.

use minijinja::value::ValueKind;
use minijinja::{Value as View, filters};

use super::call::{self, Call, Made, words};
use super::{Filter, Group, Work, engines, own};

/// More digits than a double has are noise.
const DIGITS_MAX: usize = 15;

pub(super) const GROUP: Group = Group {
    title: "Numbers",
    about: "Halves are rounded away from zero.",
    filters: &[
        own(
            "round",
            &[],
            &["digits"],
            "Rounded to a whole number, or to so many digits behind the point.",
            &[("2.5 | round", "3"), ("-2.5 | round", "-3"), ("3.14159 | round(2)", "3.14"), ("7 | round", "7")],
            round,
        ),
        own("floor", &[], &[], "The whole number below.", &[("2.7 | floor", "2"), ("-2.1 | floor", "-3")], |call| {
            whole(call, f64::floor)
        }),
        own("ceil", &[], &[], "The whole number above.", &[("2.1 | ceil", "3"), ("-2.7 | ceil", "-2")], |call| {
            whole(call, f64::ceil)
        }),
        engines("abs", "Without its sign.", &[("-3 | abs", "3")], |engine, name| {
            engine.add_filter(name, filters::abs);
        }),
        own(
            "int",
            &[],
            &["otherwise"],
            "A whole number out of a number or a text, cut off at the point; `otherwise` when it is none.",
            &[("'42' | int", "42"), ("2.9 | int", "2"), ("'n/a' | int(0)", "0")],
            int,
        ),
        own(
            "float",
            &[],
            &["otherwise"],
            "A number out of a text; `otherwise` when it is none.",
            &[("'2.5' | float", "2.5"), ("'n/a' | float(none)", "null")],
            float,
        ),
        own(
            "format_number",
            &[],
            &["digits", "thousands", "point"],
            "As people write it: so many digits behind the point, a sign between thousands. A currency stands beside it.",
            &[
                ("1234567.891 | format_number(2)", "\"1,234,567.89\""),
                ("1234.5 | format_number(2, '.', ',') ~ ' €'", "\"1.234,50 €\""),
                ("1234567 | format_number", "\"1,234,567\""),
            ],
            format_number,
        ),
        own(
            "sum",
            &[],
            &["attribute"],
            "The sum of a list's numbers, or of one field of its items.",
            &[("[1, 2, 3.5] | sum", "6.5"), ("[{'n': 1}, {'n': 2}] | sum('n')", "3"), ("[] | sum", "0")],
            sum,
        ),
        Filter {
            name: "min",
            required: &[],
            optional: &[],
            named: &["attribute", "case_sensitive"],
            about: "The least item of a list.",
            examples: &[("[3, 1, 2] | min", "1")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::min)),
        },
        Filter {
            name: "max",
            required: &[],
            optional: &[],
            named: &["attribute", "case_sensitive"],
            about: "The greatest item of a list.",
            examples: &[("[3, 1, 2] | max", "3")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::max)),
        },
    ],
};

/// A number as it is, or as the text says.
enum Number {
    Whole(i128),
    Broken(f64),
}

fn number(value: &View) -> Result<Number, String> {
    let found = match value.kind() {
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Whole),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Broken),
        _ => None,
    };
    found.ok_or_else(|| format!("expects a number, got {}", words(value)))
}

fn parse(value: &View) -> Result<Number, String> {
    let Some(text) = value.as_str().map(str::trim) else { return number(value) };
    let whole = text.parse().ok().map(Number::Whole);
    let broken = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Broken);
    whole.or_else(broken).ok_or_else(|| format!("expects a number, got {}", words(value)))
}

fn view(number: i128) -> Made {
    let small = i64::try_from(number).map(View::from).or_else(|_| u64::try_from(number).map(View::from));
    small.map_err(|_| format!("makes {number}, which is too large"))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked; the fraction is gone on purpose")]
fn truncated(number: f64) -> Result<i128, String> {
    if number.abs() >= 1e18 || !number.is_finite() {
        return Err(format!("makes {number}, which is too large for a whole number"));
    }
    Ok(number as i128)
}

fn round(call: &Call<'_>) -> Made {
    let digits = call.count(0, "digits", 0, DIGITS_MAX)?.unwrap_or_default();
    match number(call.value)? {
        Number::Whole(number) => view(number),
        Number::Broken(number) if digits == 0 => view(truncated(number.round())?),
        Number::Broken(number) => {
            // Through decimal digits: 1.005 times 100 is not 100.5 in binary.
            let shown = decimal(number, digits);
            shown.parse::<f64>().map(View::from).map_err(|error| error.to_string())
        }
    }
}

/// The shortest decimal digits that mean this number, rounded half away from zero.
fn decimal(number: f64, digits: usize) -> String {
    let shortest = format!("{}", number.abs());
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    let sign = if number < 0.0 { "-" } else { "" };
    if fraction.len() <= digits {
        return format!("{sign}{whole}{}{fraction:0<digits$}", if digits > 0 { "." } else { "" });
    }
    let up = fraction.as_bytes()[digits] >= b'5';
    let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes().take(digits)).collect();
    if up {
        let mut at = all.len();
        while at > 0 && all[at - 1] == b'9' {
            at -= 1;
            all[at] = b'0';
        }
        if at > 0 { all[at - 1] += 1 } else { all.insert(0, b'1') }
    }
    let text: String = all.into_iter().map(char::from).collect();
    let (whole, fraction) = text.split_at(text.len() - digits);
    format!("{sign}{whole}{}{fraction}", if digits > 0 { "." } else { "" })
}

fn whole(call: &Call<'_>, to: fn(f64) -> f64) -> Made {
    match number(call.value)? {
        Number::Whole(number) => view(number),
        Number::Broken(number) => view(truncated(to(number))?),
    }
}

fn int(call: &Call<'_>) -> Made {
    let made = parse(call.value).and_then(|number| match number {
        Number::Whole(number) => view(number),
        Number::Broken(number) => view(truncated(number.trunc())?),
    });
    otherwise(call, made)
}

#[expect(clippy::cast_precision_loss, reason = "that is what people ask for")]
fn float(call: &Call<'_>) -> Made {
    let made = parse(call.value).map(|number| match number {
        Number::Whole(number) => View::from(number as f64),
        Number::Broken(number) => View::from(number),
    });
    otherwise(call, made)
}

/// What was made, or the argument for when that was not possible, null included.
fn otherwise(call: &Call<'_>, made: Made) -> Made {
    made.or_else(|error| call.arguments.first().filter(|other| !other.is_undefined()).cloned().ok_or(error))
}

fn format_number(call: &Call<'_>) -> Made {
    let digits = call.count(0, "digits", 0, DIGITS_MAX)?.unwrap_or_default();
    let thousands = call.optional_text(1, "thousands")?.unwrap_or_else(|| ",".to_owned());
    let point = call.optional_text(2, "point")?.unwrap_or_else(|| ".".to_owned());
    let plain = match number(call.value)? {
        Number::Whole(number) if digits == 0 => number.to_string(),
        Number::Whole(number) => format!("{number}.{:0<digits$}", ""),
        Number::Broken(number) => decimal(number, digits),
    };
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push_str(&thousands);
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push_str(&point);
        text.push_str(fraction);
    }
    call::made(text)
}

#[expect(clippy::cast_precision_loss, reason = "a sum with a broken number is one")]
fn sum(call: &Call<'_>) -> Made {
    let attribute = call.optional_text(0, "attribute")?;
    let (mut exact, mut broken) = (0_i128, None::<f64>);
    for item in call.items()? {
        let value = match &attribute {
            Some(path) => call::in_item(&item, path)?,
            None => item,
        };
        match (number(&value).map_err(|error| format!("{error} among the items"))?, &mut broken) {
            (Number::Whole(number), None) => exact = exact.checked_add(number).ok_or("makes too large a number")?,
            (Number::Whole(number), Some(sum)) => *sum += number as f64,
            (Number::Broken(number), None) => broken = Some(exact as f64 + number),
            (Number::Broken(number), Some(sum)) => *sum += number,
        }
    }
    broken.map_or_else(|| view(exact), |sum| Ok(View::from(sum)))
}
