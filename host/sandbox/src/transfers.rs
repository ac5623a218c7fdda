//! The host's side of `transfers`: bodies between a service and a granted file.
//!
//! Decides on file and request as `files` and `fetch` do, then moves the bytes in a task
//! of its own: their processor time is not the guest's, and they never enter its memory.
//! The task ends with the call, and no file gets its name after it. What was not saved
//! whole leaves nothing behind.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use egress::{BodyStream, Departure, Entry, Inflow, Response, SendError, Session, Source, StreamRequest};
use futures_util::StreamExt as _;

use crate::bindings::{fetch, transfers};
use crate::file_path::FilePath;
use crate::files::{Access, blocking};
use crate::folders::{Draft, FileError, Folder};
use crate::state::State;
use crate::{files as granted, host};

/// What is read or written at once. 256 KiB: few enough turns on the blocking threads, and
/// little memory for each transfer.
const PIECE_BYTES: usize = 256 << 10;
/// What a service says instead of a file.
const WORDS_BYTES_MAX: usize = 64 << 10;

/// How the record begins of a download that has changed nothing.
const UNTOUCHED: &str = "not sent: nothing was written";

/// Why a transfer failed.
enum Failed {
    Request(fetch::FetchError),
    File(FileError),
}

impl From<SendError> for Failed {
    fn from(error: SendError) -> Self {
        Self::Request(host::to_answer(error))
    }
}

impl From<fetch::FetchError> for Failed {
    fn from(error: fetch::FetchError) -> Self {
        Self::Request(error)
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// What a download came to.
struct Downloaded {
    status: u16,
    headers: Vec<(String, String)>,
    url: String,
    saved: Option<u64>,
    body: Bytes,
}

/// What a download may take, and what it says while it goes on.
#[derive(Clone)]
struct Saving {
    session: Arc<Session>,
    record: Option<Entry>,
    began: Instant,
    /// Bytes that the call may still write, and its limit.
    quota: u64,
    limit: u64,
    written: Arc<AtomicU64>,
    /// The file may have got its name.
    kept: Arc<AtomicBool>,
    /// The same for the call.
    touched: Arc<AtomicBool>,
}

impl Saving {
    fn amend(&self, error: Option<String>, sent_bytes: u64) {
        let Some(entry) = self.record else { return };
        let duration_ms = granted::millis_since(self.began);
        self.session.amend(entry, |record| {
            (record.error, record.sent_bytes, record.duration_ms) = (error, sent_bytes, duration_ms);
        });
    }

    /// Asked just before the file gets its name. Whoever closed the session before this
    /// looks finds no new file; whoever closes it later finds it on record.
    fn may_keep(&self) -> Result<(), FileError> {
        self.kept.store(true, Ordering::SeqCst);
        self.touched.store(true, Ordering::SeqCst);
        let error = "the call ended while the file got its name".to_owned();
        self.amend(Some(error), self.written.load(Ordering::SeqCst));
        match self.session.is_closed() {
            true => Err(FileError::Failed("the call ended before the file got its name".to_owned())),
            false => Ok(()),
        }
    }

    /// Completes the record.
    fn complete(&self, done: &Result<Downloaded, Failed>) {
        let error = match done {
            Ok(Downloaded { saved: Some(bytes), .. }) => return self.amend(None, *bytes),
            Ok(Downloaded { saved: None, .. }) => format!("{UNTOUCHED}: the service answered with no file"),
            Err(Failed::Request(_)) => format!("{UNTOUCHED}: the request failed"),
            Err(Failed::File(error)) if self.kept.load(Ordering::SeqCst) => {
                return self.amend(Some(error.to_string()), self.written.load(Ordering::SeqCst));
            }
            Err(Failed::File(error)) => format!("{UNTOUCHED}: {error}"),
        };
        self.amend(Some(error), 0);
    }
}

impl transfers::Host for State {
    async fn download(
        &mut self,
        request: fetch::Request,
        path: String,
    ) -> Result<transfers::Downloaded, transfers::TransferError> {
        let access = Access { method: "WRITE", write: true, sent_bytes: 0 };
        let (path, folder, rule) = self.granted(&access, path).await?;
        let saving = self.saving(&access, &path, &rule).map_err(transfers::TransferError::Request)?;
        // The head of a file is none.
        let is_head = request.method.eq_ignore_ascii_case("HEAD");
        let done = match self.depart(request, None) {
            Ok(departure) => {
                let work = download(departure, folder, path, is_head, saving.clone());
                wasmtime_wasi::runtime::spawn(work).await
            }
            Err(error) => Err(error.into()),
        };
        // Also what was thrown away again: the disk had to take it.
        let written = saving.written.load(Ordering::SeqCst);
        self.folders.written = self.folders.written.saturating_add(written);
        saving.complete(&done);
        let done = done.map_err(|failed| self.explain(failed))?;
        Ok(transfers::Downloaded {
            status: done.status,
            headers: done.headers,
            url: done.url,
            saved: done.saved,
            body: done.body.into(),
        })
    }

    async fn upload(
        &mut self,
        request: fetch::Request,
        path: String,
    ) -> Result<fetch::Response, transfers::TransferError> {
        let access = Access { method: "READ", write: false, sent_bytes: 0 };
        let (path, folder, rule) = self.granted(&access, path).await?;
        let began = Instant::now();
        let opened = blocking({
            let path = path.clone();
            move || folder.open_file(&path)
        });
        let source = opened.await.map(|(file, bytes)| FileSource { file: Arc::new(file), bytes });
        let departure =
            source.map_err(Failed::from).and_then(|source| Ok(self.depart(request, Some(Box::new(source)))?));
        let done = match departure {
            Ok(departure) => wasmtime_wasi::runtime::spawn(upload(departure)).await,
            Err(failed) => Err(failed),
        };
        let mut record = self.record_file(&access, &path, &rule, began);
        record.error = match &done {
            Ok(_) => None,
            Err(Failed::Request(_)) => Some("the request failed".to_owned()),
            Err(Failed::File(error)) => Some(error.to_string()),
        };
        self.keep(record);
        let done = done.map_err(|failed| self.explain(failed))?;
        Ok(fetch::Response { status: done.status, headers: done.headers, body: done.body.into(), url: done.url })
    }
}

impl State {
    /// The folder of a path that the grant allows, and the rule.
    async fn granted(
        &mut self,
        access: &Access,
        path: String,
    ) -> Result<(FilePath, Arc<Folder>, String), transfers::TransferError> {
        let refuse = transfers::TransferError::File;
        self.count_operation().map_err(granted::to_answer).map_err(refuse)?;
        let path = FilePath::parse(&path).map_err(granted::to_answer).map_err(refuse)?;
        let permit = self.decide_file(access, &path).map_err(refuse)?;
        let folder = self.folder(path.folder(), permit.path()).await.map_err(granted::to_answer).map_err(refuse)?;
        Ok((path, folder, permit.rule().to_owned()))
    }

    fn depart(&self, request: fetch::Request, source: Option<Box<dyn Source>>) -> Result<Departure, fetch::FetchError> {
        let session: &Arc<Session> = self.session.as_ref().ok_or_else(host::describing)?;
        let request = host::to_request(request);
        if source.is_some() && !request.body.is_empty() {
            let reason = "the request has a body beside the file; leave it out".to_owned();
            return Err(fetch::FetchError::InvalidRequest(reason));
        }
        let asked = StreamRequest { request, source, ..StreamRequest::default() };
        session.depart(asked).map_err(host::to_answer)
    }

    /// Enters the record of a download before anything happens; the request has its own.
    fn saving(&self, access: &Access, path: &FilePath, rule: &str) -> Result<Saving, fetch::FetchError> {
        let session: &Arc<Session> = self.session.as_ref().ok_or_else(host::describing)?;
        let began = Instant::now();
        let mut record = self.record_file(access, path, rule, began);
        record.error = Some(format!("{UNTOUCHED} yet"));
        let limit = self.limits().file_bytes;
        Ok(Saving {
            record: session.record(record),
            session: session.clone(),
            began,
            quota: limit.saturating_sub(self.folders.written),
            limit,
            written: Arc::default(),
            kept: Arc::default(),
            touched: self.folders.touched.clone(),
        })
    }

    fn explain(&mut self, failed: Failed) -> transfers::TransferError {
        match failed {
            Failed::Request(error) => transfers::TransferError::Request(error),
            Failed::File(error) => {
                if let FileError::Limit { which, limit } = &error {
                    self.refuse(which, *limit);
                }
                transfers::TransferError::File(granted::to_answer(error))
            }
        }
    }
}

async fn download(
    departure: Departure,
    folder: Arc<Folder>,
    path: FilePath,
    is_head: bool,
    saving: Saving,
) -> Result<Downloaded, Failed> {
    let response = departure.leave().await?;
    let (status, headers, url) = (response.status, response.headers, response.url);
    if is_head || !has_file(status) {
        let body = beginning(response.body).await?;
        return Ok(Downloaded { status, headers, url, saved: None, body });
    }
    let draft = blocking(move || folder.draft(&path)).await?;
    let saved = save(response.body, draft, saving).await?;
    Ok(Downloaded { status, headers, url, saved: Some(saved), body: Bytes::new() })
}

/// Whether such an answer is a whole file: neither nothing (204, 205) nor a part (206).
fn has_file(status: u16) -> bool {
    (200..=299).contains(&status) && !(204..=206).contains(&status)
}

/// Writes everything that comes, and only then gives the file its name.
async fn save(mut body: Inflow, mut draft: Draft, saving: Saving) -> Result<u64, Failed> {
    let mut saved = 0_u64;
    loop {
        let piece = gather(&mut body).await?;
        if piece.is_empty() {
            break;
        }
        saved += piece.len() as u64;
        if saved > saving.quota {
            return Err(FileError::Limit { which: "file_bytes", limit: saving.limit }.into());
        }
        saving.written.store(saved, Ordering::SeqCst);
        draft = blocking(move || draft.write(&piece).map(|()| draft)).await?;
    }
    blocking(move || draft.keep(|| saving.may_keep())).await?;
    Ok(saved)
}

/// At least [`PIECE_BYTES`], or the rest; nothing at the end.
async fn gather(body: &mut Inflow) -> Result<Bytes, SendError> {
    let mut gathered = BytesMut::new();
    while gathered.len() < PIECE_BYTES {
        match body.next().await {
            Some(piece) => gathered.extend_from_slice(&piece?),
            None => break,
        }
    }
    Ok(gathered.freeze())
}

async fn beginning(mut body: Inflow) -> Result<Bytes, SendError> {
    let mut words = gather(&mut body).await?;
    words.truncate(WORDS_BYTES_MAX);
    Ok(words)
}

async fn upload(departure: Departure) -> Result<Response, Failed> {
    Ok(departure.leave().await?.whole().await?)
}

/// An open file. What was read of it is what was there: a file that shrinks meanwhile
/// breaks the body off.
struct FileSource {
    file: Arc<File>,
    bytes: u64,
}

impl Source for FileSource {
    fn bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn open(&mut self) -> Option<BodyStream> {
        let start = (self.file.clone(), 0, self.bytes);
        Some(Box::pin(futures_util::stream::try_unfold(start, |(file, at, bytes)| async move {
            let piece = blocking({
                let file = file.clone();
                move || read(&file, at, bytes)
            });
            let piece = piece.await.map_err(|error| error.to_string())?;
            let next = at + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, (file, next, bytes))))
        })))
    }
}

/// The next piece before `end`; nothing there, or at the end of the file.
fn read(file: &File, at: u64, end: u64) -> Result<Bytes, FileError> {
    let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
    let mut piece = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        let failed = |error| FileError::Failed(format!("the file cannot be read: {error}"));
        match file.read_at(&mut piece[filled..], at + filled as u64).map_err(failed)? {
            0 => break,
            read => filled += read,
        }
    }
    piece.truncate(filled);
    Ok(piece.into())
}
