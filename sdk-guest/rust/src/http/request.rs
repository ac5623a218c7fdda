//! Building a request.

use std::fmt::Display;

use serde::Serialize;

use super::response::{Response, SendError};
use super::url;
use crate::error::{Error, Result};
use crate::host;

/// A request being built. What is wrong with it is reported when it is sent.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    inner: host::Request,
    wrong: Option<Error>,
}

/// A request with any method, in upper case.
///
/// `url` is absolute, or starts with `{base-url}`; it may hold places such as
/// `{owner}` for [`Request::fill`].
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request {
        inner: host::Request {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: host::Body::Empty,
            timeout_ms: None,
        },
        wrong: None,
    }
}

/// `GET url`
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// `POST url`
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// `PUT url`
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// `PATCH url`
pub fn patch(url: impl Into<String>) -> Request {
    request("PATCH", url)
}

/// `DELETE url`
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

impl Request {
    /// Puts `value` in place of `{name}` in the path, as one segment. An empty value,
    /// or one with a slash, fails the call as invalid input of the field `name`.
    pub fn fill(mut self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        match url::fill(&self.inner.url, name, &value) {
            Some(filled) => self.inner.url = filled,
            None => {
                let expected = "a name that can be part of a web address";
                self.wrong.get_or_insert(Error::invalid_input(&format!("/{name}"), expected, format!("{value:?}")));
            }
        }
        self
    }

    /// Adds a parameter to the query.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        url::push_query(&mut self.inner.url, name, &value.to_string());
        self
    }

    /// Adds a parameter to the query, if there is a value.
    pub fn query_if(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header. The host owns `host`, `accept-encoding`, hop-by-hop headers and
    /// the credential's.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.inner.headers.push((name.to_ascii_lowercase(), value.to_string()));
        self
    }

    /// Sends `value` as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => {
                self.inner.body = host::Body::Text(text);
                self.content_type("application/json")
            }
            Err(error) => {
                self.wrong.get_or_insert(Error::permanent(format!("the request is no JSON: {error}")));
                self
            }
        }
    }

    /// Sends fields as an HTML form does.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in fields {
            url::push_query(&mut text, name, value);
        }
        // A query's question mark is no part of a form.
        self.inner.body = host::Body::Text(text.split_off(1.min(text.len())));
        self.content_type("application/x-www-form-urlencoded")
    }

    /// Sends text; set `content-type` with [`Request::header`].
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.inner.body = host::Body::Text(text.into());
        self
    }

    /// Sends bytes; set `content-type` with [`Request::header`].
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inner.body = host::Body::Bytes(bytes.into());
        self
    }

    /// The longest wait for the whole answer; the grant clamps it.
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.inner.timeout_ms = Some(timeout_ms);
        self
    }

    /// Adds the call's idempotency key as a header, for services that know one.
    pub fn idempotency_key(self, header: &str) -> Self {
        let key = crate::context::current().idempotency_key;
        self.header(header, key)
    }

    /// Sends it; a status other than 2xx is an error of the fitting case.
    ///
    /// # Errors
    /// See [`Response::ok`]; `transient` when the service cannot be reached;
    /// `permanent`, with rule and fix, when the policy says no.
    pub fn send(self) -> Result<Response> {
        self.send_any()?.ok()
    }

    /// Sends it and gives back the answer, whatever its status.
    ///
    /// # Errors
    /// `transient` when the service cannot be reached; `permanent`, with rule and fix,
    /// when the policy says no.
    pub fn send_any(self) -> Result<Response> {
        match self.wrong {
            Some(error) => Err(error),
            None => Ok(self.try_send()?),
        }
    }

    /// The request as it crosses the boundary.
    pub(super) fn into_host(self) -> Result<host::Request> {
        match self.wrong {
            Some(error) => Err(error),
            None => Ok(self.inner),
        }
    }

    fn try_send(self) -> std::result::Result<Response, SendError> {
        host::send(self.inner).map(Response::new)
    }

    fn content_type(mut self, value: &str) -> Self {
        if !self.inner.headers.iter().any(|(name, _)| name == "content-type") {
            self.inner.headers.push(("content-type".to_owned(), value.to_owned()));
        }
        self
    }
}
