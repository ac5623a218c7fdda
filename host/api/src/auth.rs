//! Who asks, and whether they may.
//!
//! Over TCP a bearer token, compared in constant time by its digest. Over the Unix
//! socket and in process the caller is known already: whoever accepted the request
//! says who it is. A request without either is refused.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;
use model::Problem;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::ApiError;

/// What administration asks of a caller.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `Authorization: Bearer TOKEN`.
    Token(Token),
    /// A [`Caller`] that the listener vouches for.
    Vouched,
}

/// The digest of the administrators' token; the token itself is not kept.
#[derive(Clone)]
pub struct Token(Arc<[u8; 32]>);

impl Token {
    /// Remembers the digest of a token.
    pub fn new(token: &str) -> Self {
        Self(Arc::new(Sha256::digest(token).into()))
    }

    /// The digests are compared: their length and place of difference tell nothing.
    fn is(&self, given: &str) -> bool {
        Sha256::digest(given).as_slice().ct_eq(self.0.as_slice()).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Who asks, as records name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown_caller)
    }
}

/// Lets a request pass only when its caller is known.
pub(crate) async fn require(State(auth): State<Auth>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    match &auth {
        Auth::Vouched if request.extensions().get::<Caller>().is_some() => {}
        Auth::Vouched => return Err(unknown_caller()),
        Auth::Token(token) => {
            let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?));
            if !given.is_some_and(|given| token.is(given)) {
                return Err(bad_token(given.is_some()));
            }
            request.extensions_mut().insert(Caller("administrator".to_owned()));
        }
    }
    Ok(next.run(request).await)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn bad_token(given: bool) -> ApiError {
    let what = if given { "the token is not this host's" } else { "the request carries no token" };
    ApiError::unauthorized(
        Problem::new("token", what)
            .fix("send the header Authorization: Bearer TOKEN; the token is in admin.token in the data folder"),
    )
}

fn unknown_caller() -> ApiError {
    ApiError::unauthorized(Problem::new("caller", "the listener does not know who asks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_passes() {
        let token = Token::new("correct horse");
        for (given, wanted) in
            [("correct horse", true), ("correct hors", false), ("correct horse ", false), ("", false)]
        {
            assert_eq!(token.is(given), wanted, "{given:?}");
        }
        for (header, wanted) in [("Bearer a", Some("a")), ("bearer a", Some("a")), ("Basic a", None), ("a", None)] {
            assert_eq!(bearer(header), wanted, "{header:?}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }
}
