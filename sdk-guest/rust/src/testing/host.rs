//! The contract's imports, played by the stage of the current thread.

use serde_json::Value;

use super::stage::{Exchange, Expected, Recorded, Stage};
use crate::context::Call;
use crate::crypto::{Algorithm, CryptoError, Key};
use crate::files::{Entry, FileError};
use crate::host::{Answer, Body, Request, Saved};
use crate::http::{SendError, TransferError};
use crate::log::Level;
use crate::state::{self, StateError};

#[allow(clippy::needless_pass_by_value, reason = "the signature is the import's, which takes the request")]
pub(crate) fn send(request: Request) -> Result<Answer, SendError> {
    Stage::with(|stage| {
        let url = stage.resolve(&request.url);
        let Some(exchange) = stage.exchanges.pop_front() else {
            stage.wrong.push(format!("a request that the sample does not expect: {} {url}", request.method));
            return Err(SendError::Unreachable("the sample expects no further request".to_owned()));
        };
        let wanted = stage.resolve(&exchange.request.url);
        let differences = compare(&exchange.request, &wanted, &request, &url);
        stage.wrong.extend(differences);
        answer(exchange, url)
    })
}

pub(crate) fn download(request: Request, path: &str) -> Result<Saved, TransferError> {
    let path = check(path).map_err(TransferError::File)?;
    let mut answer = send(request).map_err(TransferError::Request)?;
    if !(200..=299).contains(&answer.status) || answer.status == 206 {
        return Ok(Saved { answer, bytes: None });
    }
    let content = std::mem::take(&mut answer.body);
    let bytes = Some(content.len() as u64);
    write_file(path, &content).map_err(TransferError::File)?;
    Ok(Saved { answer, bytes })
}

pub(crate) fn upload(mut request: Request, path: &str) -> Result<Answer, TransferError> {
    request.body = Body::Bytes(read_file(path, 0, u32::MAX).map_err(TransferError::File)?);
    send(request).map_err(TransferError::Request)
}

fn answer(exchange: Exchange, url: String) -> Result<Answer, SendError> {
    match exchange.response {
        Recorded::Unreachable { unreachable } => Err(SendError::Unreachable(unreachable)),
        Recorded::Answer { status, headers, body } => Ok(Answer {
            status,
            headers: headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
            body: match body {
                Value::Null => Vec::new(),
                Value::String(text) => text.into_bytes(),
                json => json.to_string().into_bytes(),
            },
            url,
        }),
    }
}

fn compare(expected: &Expected, wanted_url: &str, request: &Request, url: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if (&*expected.method, wanted_url) != (&*request.method, url) {
        wrong.push(format!("expected {} {wanted_url}, got {} {url}", expected.method, request.method));
    }
    for (name, wanted) in &expected.headers {
        let found = request.headers.iter().find(|(known, _)| *known == name.to_ascii_lowercase());
        if found.map(|(_, value)| value) != Some(wanted) {
            wrong.push(format!("expected header {name}: {wanted}, got {found:?}"));
        }
    }
    if let Some(wanted) = &expected.body {
        let sent = body_value(&request.body);
        if sent != *wanted {
            wrong.push(format!("expected the body {wanted}, got {sent}"));
        }
    }
    wrong
}

fn body_value(body: &Body) -> Value {
    let bytes = match body {
        Body::Empty => return Value::Null,
        Body::Text(text) => text.as_bytes(),
        Body::Bytes(bytes) => bytes,
    };
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

pub(crate) fn call() -> Call {
    Stage::with(|stage| stage.call())
}

/// Thirty seconds: what a grant gives when it says nothing.
pub(crate) fn remaining_ms() -> u64 {
    30_000
}

pub(crate) fn write_log(level: Level, message: &str, fields: &[(String, String)]) {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    Stage::with(|stage| stage.log.push((level, format!("{message}{}", fields.concat()))));
}

pub(crate) fn list_files(path: &str) -> Result<Vec<Entry>, FileError> {
    let start = format!("{}/", check(path)?.trim_end_matches('/'));
    Stage::with(|stage| {
        let mut entries: Vec<Entry> = Vec::new();
        for (file, content) in stage.files.iter().filter(|(file, _)| file.starts_with(&start)) {
            let (name, folder) = match file[start.len()..].split_once('/') {
                Some((folder, _)) => (folder, true),
                None => (&file[start.len()..], false),
            };
            if entries.last().is_none_or(|entry| entry.name != name) {
                let bytes = if folder { 0 } else { content.len() as u64 };
                let modified_ms = stage.modified_ms.get(file).copied().filter(|_| !folder).unwrap_or_default();
                entries.push(Entry { name: name.to_owned(), folder, bytes, modified_ms });
            }
        }
        if entries.is_empty() { Err(FileError::NotFound(path.to_owned())) } else { Ok(entries) }
    })
}

pub(crate) fn read_file(path: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>, FileError> {
    let path = check(path)?;
    Stage::with(|stage| {
        let content = stage.files.get(path).ok_or_else(|| FileError::NotFound(path.to_owned()))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(bytes_max as usize).min(content.len());
        Ok(content[start..end].to_vec())
    })
}

pub(crate) fn write_file(path: &str, content: &[u8]) -> Result<(), FileError> {
    let path = check(path)?.to_owned();
    Stage::with(|stage| stage.files.insert(path, content.to_vec()));
    Ok(())
}

pub(crate) fn append_file(path: &str, content: &[u8]) -> Result<(), FileError> {
    let path = check(path)?.to_owned();
    Stage::with(|stage| stage.files.entry(path).or_default().extend_from_slice(content));
    Ok(())
}

pub(crate) fn rename_file(from: &str, to: &str) -> Result<(), FileError> {
    let (from, to) = (check(from)?, check(to)?);
    Stage::with(|stage| {
        if stage.files.contains_key(to) {
            return Err(FileError::AlreadyExists(to.to_owned()));
        }
        let content = stage.files.remove(from).ok_or_else(|| FileError::NotFound(from.to_owned()))?;
        stage.files.insert(to.to_owned(), content);
        Ok(())
    })
}

pub(crate) fn get_state(key: &str) -> Result<Option<state::Entry<Vec<u8>>>, StateError> {
    Ok(Stage::with(|stage| stage.state.get(key).cloned()))
}

pub(crate) fn set_state(key: &str, value: &[u8]) -> Result<u64, StateError> {
    Ok(Stage::with(|stage| {
        let version = stage.state.get(key).map_or(1, |entry| entry.version + 1);
        stage.state.insert(key.to_owned(), state::Entry { value: value.to_owned(), version });
        version
    }))
}

pub(crate) fn replace_state(key: &str, expected: Option<u64>, value: &[u8]) -> Result<bool, StateError> {
    let found = get_state(key)?.map(|entry| entry.version);
    if found == expected {
        set_state(key, value)?;
    }
    Ok(found == expected)
}

pub(crate) fn delete_state(key: &str) -> Result<bool, StateError> {
    Ok(Stage::with(|stage| stage.state.remove(key).is_some()))
}

/// The stand-in has no keys: what needs one is tested in the real host.
pub(crate) fn sign(_key: Key, _algorithm: Algorithm, _message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Err(CryptoError::NoKey("natively there is no key".to_owned()))
}

pub(crate) fn verify(_key: Key, _algorithm: Algorithm, _message: &[u8], _code: &[u8]) -> Result<bool, CryptoError> {
    Err(CryptoError::NoKey("natively there is no key".to_owned()))
}

fn check(path: &str) -> Result<&str, FileError> {
    let plain = !path.is_empty() && path.trim_end_matches('/').split('/').all(|part| !matches!(part, "" | "." | ".."));
    plain.then_some(path).ok_or_else(|| FileError::InvalidPath(format!("{path:?} is no path in a granted folder")))
}
