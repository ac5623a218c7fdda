//! Secrets from files, standard input or named variables; never from arguments,
//! which every user of the machine can read.

use std::io::Read as _;
use std::path::PathBuf;

use model::Problem;
use secrecy::SecretString;

use crate::exit::Stop;
use crate::input;

/// Where a secret comes from.
pub(crate) enum Source<'a> {
    File(&'a PathBuf),
    Stdin,
    Variable(&'a str),
}

/// 64 KiB: more than any token or key.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The secret, without the line end that editors add.
pub(crate) fn read(source: &Source<'_>) -> Result<SecretString, Stop> {
    let (text, place) = match source {
        Source::File(path) => (input::read(path)?, path.display().to_string()),
        Source::Variable(name) => (variable(name)?, format!("the variable {name}")),
        Source::Stdin => (stdin()?, "standard input".to_owned()),
    };
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(Stop::failed(Problem::new("empty-secret", format!("there is no secret in {place}"))));
    }
    Ok(SecretString::from(secret))
}

fn variable(name: &str) -> Result<String, Stop> {
    std::env::var(name).map_err(|_| {
        Stop::failed(
            Problem::new("no-variable", format!("the variable {name} is not set, or is no text"))
                .cause("--secret-env takes the name of a variable, not the secret itself")
                .fix(format!("export {name}=..., or use --secret-file")),
        )
    })
}

fn stdin() -> Result<String, Stop> {
    let mut text = String::new();
    let read = std::io::stdin().take(SECRET_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Stop::failed(Problem::new("stdin", format!("standard input cannot be read: {error}"))))?;
    Ok(text)
}
