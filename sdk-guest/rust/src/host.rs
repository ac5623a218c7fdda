//! The way to the host: the contract's imports, or natively a stand-in for them.
//!
//! Owns the plain types that cross; every other module speaks these and never the
//! generated ones, so that connectors can be tested without a component around them.

/// A request as it crosses the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) timeout_ms: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    Text(String),
    Bytes(Vec<u8>),
}

/// An answer as it crosses the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) url: String,
}

/// A download as it crosses the boundary: the answer, and how many bytes the file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) answer: Answer,
    pub(crate) bytes: Option<u64>,
}

#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{
    append_file, call, delete_state, download, get_state, list_files, read_file, remaining_ms, rename_file,
    replace_state, send, set_state, sign, upload, verify, write_file, write_log,
};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{
    append_file, call, delete_state, download, get_state, list_files, read_file, remaining_ms, rename_file,
    replace_state, send, set_state, sign, upload, verify, write_file, write_log,
};

#[cfg(target_arch = "wasm32")]
mod imports {
    use super::{Answer, Body, Request, Saved};
    use crate::bindings::offers::sluicegate::connector::{context, crypto, fetch, files, log, state, transfers};
    use crate::context::{Call, Connection};
    use crate::crypto::{Algorithm, CryptoError, Key};
    use crate::files::{Entry, FileError};
    use crate::http::{SendError, TransferError};
    use crate::log::Level;
    use crate::state::{Entry as StateEntry, StateError};

    pub(crate) fn send(request: Request) -> Result<Answer, SendError> {
        fetch::send(&to_request(request)).map(to_answer).map_err(to_send_error)
    }

    pub(crate) fn download(request: Request, path: &str) -> Result<Saved, TransferError> {
        let done = transfers::download(&to_request(request), path).map_err(to_transfer_error)?;
        let answer = Answer { status: done.status, headers: done.headers, body: done.body, url: done.url };
        Ok(Saved { answer, bytes: done.saved })
    }

    pub(crate) fn upload(request: Request, path: &str) -> Result<Answer, TransferError> {
        transfers::upload(&to_request(request), path).map(to_answer).map_err(to_transfer_error)
    }

    fn to_request(request: Request) -> fetch::Request {
        fetch::Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: match request.body {
                Body::Empty => fetch::Body::Empty,
                Body::Text(text) => fetch::Body::Text(text),
                Body::Bytes(bytes) => fetch::Body::Bytes(bytes),
            },
            timeout_ms: request.timeout_ms,
        }
    }

    fn to_answer(answer: fetch::Response) -> Answer {
        Answer { status: answer.status, headers: answer.headers, body: answer.body, url: answer.url }
    }

    fn to_send_error(error: fetch::FetchError) -> SendError {
        match error {
            fetch::FetchError::Denied(denial) => SendError::Denied { rule: denial.rule, fix: denial.fix },
            fetch::FetchError::LimitExceeded(limit) => {
                SendError::LimitExceeded { which: limit.which, limit: limit.limit }
            }
            fetch::FetchError::InvalidRequest(why) => SendError::Invalid(why),
            fetch::FetchError::Unreachable(why) => SendError::Unreachable(why),
        }
    }

    fn to_transfer_error(error: transfers::TransferError) -> TransferError {
        match error {
            transfers::TransferError::Request(error) => TransferError::Request(to_send_error(error)),
            transfers::TransferError::File(error) => TransferError::File(to_error(error)),
        }
    }

    pub(crate) fn call() -> Call {
        let call = context::current();
        Call {
            flow: call.flow,
            run: call.run,
            step: call.step,
            attempt: call.attempt,
            idempotency_key: call.idempotency_key,
            environment: call.environment,
            connection: call.connection.map(|connection| Connection {
                label: connection.label,
                base_url: connection.base_url,
                scopes: connection.scopes,
            }),
        }
    }

    pub(crate) fn remaining_ms() -> u64 {
        context::remaining_ms()
    }

    pub(crate) fn write_log(level: Level, message: &str, fields: &[(String, String)]) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, message, fields);
    }

    pub(crate) fn list_files(path: &str) -> Result<Vec<Entry>, FileError> {
        let entries = files::list(path).map_err(to_error)?;
        Ok(entries
            .into_iter()
            .map(|entry| Entry {
                name: entry.name,
                folder: matches!(entry.kind, files::Kind::Folder),
                bytes: entry.bytes,
                modified_ms: entry.modified_ms,
            })
            .collect())
    }

    pub(crate) fn read_file(path: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>, FileError> {
        files::read(path, offset, bytes_max).map_err(to_error)
    }

    pub(crate) fn write_file(path: &str, content: &[u8]) -> Result<(), FileError> {
        files::write(path, content).map_err(to_error)
    }

    pub(crate) fn append_file(path: &str, content: &[u8]) -> Result<(), FileError> {
        files::append(path, content).map_err(to_error)
    }

    pub(crate) fn rename_file(from: &str, to: &str) -> Result<(), FileError> {
        files::rename(from, to).map_err(to_error)
    }

    pub(crate) fn get_state(key: &str) -> Result<Option<StateEntry<Vec<u8>>>, StateError> {
        let found = state::get(key).map_err(to_state_error)?;
        Ok(found.map(|entry| StateEntry { value: entry.value, version: entry.version }))
    }

    pub(crate) fn set_state(key: &str, value: &[u8]) -> Result<u64, StateError> {
        state::set(key, value).map_err(to_state_error)
    }

    pub(crate) fn replace_state(key: &str, expected: Option<u64>, value: &[u8]) -> Result<bool, StateError> {
        let swap = state::compare_and_set(key, expected, value).map_err(to_state_error)?;
        Ok(matches!(swap, state::Swap::Done(_)))
    }

    pub(crate) fn delete_state(key: &str) -> Result<bool, StateError> {
        state::delete(key).map_err(to_state_error)
    }

    fn to_state_error(error: state::StateError) -> StateError {
        match error {
            state::StateError::Unavailable(why) => StateError::Unavailable(why),
            state::StateError::InvalidKey(why) => StateError::InvalidKey(why),
            state::StateError::LimitExceeded(limit) => {
                StateError::LimitExceeded { which: limit.which, limit: limit.limit }
            }
            state::StateError::Failed(why) => StateError::Failed(why),
        }
    }

    pub(crate) fn sign(key: Key, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        crypto::sign(to_key(key), to_algorithm(algorithm), message).map_err(to_crypto_error)
    }

    pub(crate) fn verify(key: Key, algorithm: Algorithm, message: &[u8], code: &[u8]) -> Result<bool, CryptoError> {
        crypto::verify(to_key(key), to_algorithm(algorithm), message, code).map_err(to_crypto_error)
    }

    fn to_key(key: Key) -> crypto::Key {
        match key {
            Key::Credential => crypto::Key::Credential,
            Key::WebhookSecret => crypto::Key::WebhookSecret,
        }
    }

    fn to_algorithm(algorithm: Algorithm) -> crypto::Algorithm {
        match algorithm {
            Algorithm::HmacSha256 => crypto::Algorithm::HmacSha256,
            Algorithm::HmacSha1 => crypto::Algorithm::HmacSha1,
            Algorithm::HmacSha512 => crypto::Algorithm::HmacSha512,
        }
    }

    fn to_crypto_error(error: crypto::CryptoError) -> CryptoError {
        match error {
            crypto::CryptoError::Denied(denial) => CryptoError::Denied { rule: denial.rule, fix: denial.fix },
            crypto::CryptoError::NoKey(why) => CryptoError::NoKey(why),
            crypto::CryptoError::LimitExceeded(limit) => {
                CryptoError::LimitExceeded { which: limit.which, limit: limit.limit }
            }
        }
    }

    fn to_error(error: files::FileError) -> FileError {
        match error {
            files::FileError::Denied(denial) => FileError::Denied { rule: denial.rule, fix: denial.fix },
            files::FileError::NotFound(path) => FileError::NotFound(path),
            files::FileError::AlreadyExists(path) => FileError::AlreadyExists(path),
            files::FileError::LimitExceeded(limit) => {
                FileError::LimitExceeded { which: limit.which, limit: limit.limit }
            }
            files::FileError::InvalidPath(why) => FileError::InvalidPath(why),
            files::FileError::Failed(why) => FileError::Failed(why),
        }
    }
}
