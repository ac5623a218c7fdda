//! Credentials in memory: what the vault opens and only egress places in a request.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// A credential and where it goes in a request. Never serialised, never printed.
#[derive(Clone)]
pub enum Credential {
    /// `Authorization: Bearer TOKEN`
    Bearer {
        /// The token.
        token: SecretString,
    },
    /// `Authorization: Basic BASE64(USER:PASSWORD)`
    Basic {
        /// Not a secret by itself.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A header of the service's own.
    Header {
        /// In lower case.
        name: String,
        /// What stands before the credential: `Token `.
        prefix: String,
        /// The credential alone.
        value: SecretString,
    },
    /// A parameter of the query.
    Query {
        /// Its name.
        name: String,
        /// The credential.
        value: SecretString,
    },
    /// No credential.
    None,
}

impl Credential {
    /// The secret itself, for those who scrub it from what comes back.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Bearer { token: secret }
            | Self::Basic { password: secret, .. }
            | Self::Header { value: secret, .. }
            | Self::Query { value: secret, .. } => Some(secret.expose_secret()),
            Self::None => None,
        }
    }

    /// The same with another secret, and for basic with another user if one is given.
    /// None when there is no secret to replace.
    #[must_use]
    pub fn renewed(&self, secret: SecretString, user: Option<String>) -> Option<Self> {
        Some(match self {
            Self::Bearer { .. } => Self::Bearer { token: secret },
            Self::Basic { user: before, .. } => {
                Self::Basic { user: user.unwrap_or_else(|| before.clone()), password: secret }
            }
            Self::Header { name, prefix, .. } => {
                Self::Header { name: name.clone(), prefix: prefix.clone(), value: secret }
            }
            Self::Query { name, .. } => Self::Query { name: name.clone(), value: secret },
            Self::None => return None,
        })
    }

    /// The auth scheme's name, as manifests write it.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
            Self::None => "none",
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.scheme())
    }
}
