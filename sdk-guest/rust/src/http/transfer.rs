//! Bodies larger than memory: between a service and a file in a granted folder.
//!
//! The host moves the bytes; the connector sees the head of the answer, and the body
//! only where it is the service's words rather than a file.

use std::fmt;

use super::request::Request;
use super::response::{Response, SendError};
use crate::error::{Error, Result};
use crate::files::FileError;
use crate::host;

/// What came of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    response: Response,
    saved: Option<u64>,
}

impl Download {
    /// The answer. Its body is empty when a file was saved; else it is the beginning of
    /// what the service said instead.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// How many bytes the file has; None when the service answered with no file, and
    /// nothing was touched.
    pub fn saved(&self) -> Option<u64> {
        self.saved
    }

    /// How many bytes the file has.
    ///
    /// # Errors
    /// As [`Response::ok`] when nothing was saved.
    pub fn ok(self) -> Result<u64> {
        let Some(bytes) = self.saved else {
            let status = self.response.status();
            return Err(self.response.failure().unwrap_or_else(|| Error::remote(status, "this is no whole file")));
        };
        Ok(bytes)
    }
}

/// Why nothing was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferError {
    /// The request failed.
    Request(SendError),
    /// The file could not be used.
    File(FileError),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TransferError {}

impl From<TransferError> for Error {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Request(error) => error.into(),
            TransferError::File(error) => error.into(),
        }
    }
}

impl Request {
    /// Sends it, and saves the body of a successful answer as the file at `path`, which
    /// is replaced as a whole or not at all.
    ///
    /// # Errors
    /// As [`Request::send_any`]; also when the grant, the path or the disk does not allow
    /// the file.
    pub fn download(self, path: &str) -> Result<Download> {
        let done = host::download(self.into_host()?, path)?;
        Ok(Download { response: Response::new(done.answer), saved: done.bytes })
    }

    /// Sends it with the content of the file at `path` as its body, and gives back the
    /// answer, whatever its status.
    ///
    /// # Errors
    /// As [`Request::download`].
    pub fn upload(self, path: &str) -> Result<Response> {
        Ok(Response::new(host::upload(self.into_host()?, path)?))
    }
}
