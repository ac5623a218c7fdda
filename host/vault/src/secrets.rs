//! The secrets of one connection, and their only serialised form, which never
//! leaves this crate unsealed.

use model::Credential;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::VaultError;

/// Shorter secrets would be met by chance in what services answer: scrubbing them
/// would damage data, and not scrubbing them would leak them.
pub const SECRET_BYTES_MIN: usize = 8;
/// Far above any token in use; headers beyond this are refused by most services.
const SECRET_BYTES_MAX: usize = 8 << 10;

/// The likely cause of an unusable part, and how to give it instead.
type Advice = (&'static str, &'static str);
const USER: Advice = (
    "basic authentication puts a colon between the user and the password",
    "give the name alone, and the password as the secret",
);
const HEADER_NAME: Advice =
    ("a blank, a colon or the value was given along with it", "give the header's name alone, such as x-api-key");
const PREFIX: Advice = ("a line break was given along with it", "give the prefix without line breaks, such as Token");
const PARAMETER: Advice = ("the name was left empty", "give the name that the service wants, such as api_key");
const LONG: Advice = ("more than the secret was given", "give the secret alone, at most 8 KiB");
const CONTROL: Advice =
    ("more than the secret was given, such as a second line", "give the secret alone, without line breaks");
const BLANK: Advice = ("a blank was copied along with it", "give it again, without blanks around it");

/// What a connection keeps secret.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The credential of the account.
    pub credential: Credential,
    /// The secret that the service signs its webhooks with.
    pub webhook_secret: Option<SecretString>,
}

impl Secrets {
    /// Refuses secrets that cannot be scrubbed or that no request could carry. The
    /// vault does this before it seals; forms may do it earlier.
    ///
    /// # Errors
    /// Names the part that is too short or unusable.
    pub fn check(&self) -> Result<(), VaultError> {
        match &self.credential {
            Credential::Bearer { token } => check_secret("token", token)?,
            Credential::Basic { user, password } => {
                let bad = user.contains(':') || user.chars().any(char::is_control);
                refuse(bad, "user name", "has a colon or a control character", USER)?;
                check_secret("password", password)?;
            }
            Credential::Header { name, prefix, value } => {
                let why = "is empty, or has others than lower-case letters, digits, - and _";
                refuse(!is_header_name(name), "header name", why, HEADER_NAME)?;
                refuse(!prefix.bytes().all(is_text), "header prefix", "has a control character", PREFIX)?;
                check_secret("header value", value)?;
            }
            Credential::Query { name, value } => {
                refuse(name.is_empty(), "query parameter", "has no name", PARAMETER)?;
                check_secret("query value", value)?;
            }
            Credential::None => {}
        }
        self.webhook_secret.as_ref().map_or(Ok(()), |secret| check_secret("webhook secret", secret))
    }
}

fn refuse(bad: bool, what: &'static str, why: &'static str, (cause, fix): Advice) -> Result<(), VaultError> {
    if bad { Err(VaultError::Unusable { what, why, cause, fix }) } else { Ok(()) }
}

fn is_text(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || byte >= 0x80
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

fn check_secret(what: &'static str, secret: &SecretString) -> Result<(), VaultError> {
    let secret = secret.expose_secret();
    if secret.len() < SECRET_BYTES_MIN {
        return Err(VaultError::Short { what });
    }
    refuse(secret.len() > SECRET_BYTES_MAX, what, "is longer than 8 KiB", LONG)?;
    refuse(!secret.bytes().all(is_text), what, "has a line break or another control character", CONTROL)?;
    refuse(secret.trim() != secret, what, "begins or ends with a blank", BLANK)
}

/// A credential as it is sealed: JSON, one tag for each scheme.
#[derive(Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    Bearer { token: String },
    Basic { user: String, password: String },
    Header { name: String, prefix: String, value: String },
    Query { name: String, value: String },
    None {},
}

impl Drop for Written {
    fn drop(&mut self) {
        match self {
            Self::Bearer { token: secret }
            | Self::Basic { password: secret, .. }
            | Self::Header { value: secret, .. }
            | Self::Query { value: secret, .. } => secret.zeroize(),
            Self::None {} => {}
        }
    }
}

/// The credential as bytes to seal, wiped when dropped.
pub(crate) fn write(credential: &Credential) -> Zeroizing<Vec<u8>> {
    let open = |secret: &SecretString| secret.expose_secret().to_owned();
    let written = match credential {
        Credential::Bearer { token } => Written::Bearer { token: open(token) },
        Credential::Basic { user, password } => Written::Basic { user: user.clone(), password: open(password) },
        Credential::Header { name, prefix, value } => {
            Written::Header { name: name.clone(), prefix: prefix.clone(), value: open(value) }
        }
        Credential::Query { name, value } => Written::Query { name: name.clone(), value: open(value) },
        Credential::None => Written::None {},
    };
    // Large enough for any checked secret with every byte escaped, so that the
    // buffer does not move and leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(6 * SECRET_BYTES_MAX));
    serde_json::to_writer(&mut *bytes, &written).expect("text fields always have a JSON form");
    bytes
}

/// The credential from opened bytes; None when they are no credential.
pub(crate) fn read(bytes: &[u8]) -> Option<Credential> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    // From a borrowed text: an exact copy, and `written` wipes its own.
    let secret = |text: &String| SecretString::from(text.as_str());
    Some(match &written {
        Written::Bearer { token } => Credential::Bearer { token: secret(token) },
        Written::Basic { user, password } => Credential::Basic { user: user.clone(), password: secret(password) },
        Written::Header { name, prefix, value } => {
            Credential::Header { name: name.clone(), prefix: prefix.clone(), value: secret(value) }
        }
        Written::Query { name, value } => Credential::Query { name: name.clone(), value: secret(value) },
        Written::None {} => Credential::None,
    })
}
