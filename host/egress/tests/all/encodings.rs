//! Bodies in wrappings: what is opened is counted as it unfolds, and what is not opened
//! is handed to nobody, since no secret would be found in it.

use std::io::Write as _;

use bytes::Bytes;
use egress::SendError;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::hostile::{Step, doing, say};
use crate::server::{Server, answer};
use crate::world::{Given, World, get};

const TOKEN: &str = "a-secret-token-that-is-echoed";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

/// A frame of Zstandard (RFC 8878, 3.1.1) of blocks that repeat one byte: 4 bytes of it
/// for each 128 KiB.
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for block in 0..blocks {
        let last = u32::from(block + 1 == blocks);
        frame.extend(&(last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3]);
        frame.push(b'a');
    }
    frame
}

/// A stream of Brotli (RFC 7932, 9.2) of one uncompressed block: enough to be one.
fn brotli(byte: u8) -> Vec<u8> {
    vec![0x0b, 0x00, 0x80, byte, 0x03]
}

/// An answer under these `Content-Encoding` lines.
async fn wrapped(lines: &'static [&'static str], body: Vec<u8>) -> Server {
    Server::start(move |_| {
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("content-encoding", *line)).collect();
        answer(200, &lines, body.clone())
    })
    .await
}

#[tokio::test]
async fn nothing_is_handed_on_that_is_still_wrapped() {
    let echo = format!("your token is {TOKEN}").into_bytes();
    for (name, lines, body) in [
        ("two lines", &["gzip", "gzip"][..], gzip(&gzip(&echo))),
        ("two lines, another inside", &["gzip", "deflate"], gzip(&deflate(&echo))),
        ("two lines, another outside", &["deflate", "gzip"], gzip(&deflate(&echo))),
        ("two lines, one of them a lie", &["gzip", "identity"], gzip(&echo)),
        ("two lines, one of them empty", &["gzip", ""], gzip(&echo)),
        ("three lines", &["gzip", "gzip", "gzip"], gzip(&gzip(&gzip(&echo)))),
        ("a list", &["gzip, gzip"], gzip(&gzip(&echo))),
        ("a list with nothing in it", &["gzip,"], gzip(&echo)),
        ("an old name", &["x-gzip"], gzip(&echo)),
        ("upper case", &["GZIP"], gzip(&echo)),
        ("a parameter", &["gzip;q=1"], gzip(&echo)),
        ("deflate", &["deflate"], zlib(&echo)),
        ("deflate, bare", &["deflate"], deflate(&echo)),
        ("compress", &["compress"], echo.clone()),
        ("brotli", &["br"], brotli(b'a')),
        ("zstd", &["zstd"], zstd_bomb(1)),
        ("a name of its own", &["rot13"], echo.clone()),
        ("a name with a blank", &["gzip gzip"], gzip(&echo)),
    ] {
        let (world, server) = (World::new(), wrapped(lines, body).await);
        let session = world.session(&Given::ports(&[server.port()]).bearer(TOKEN));
        let outcome = session.send(get("{base-url}/")).await;
        let Err(SendError::Unreachable(reason)) = outcome else { panic!("{name}: {outcome:?}") };
        assert!(reason.contains("an encoding that was not asked for"), "{name}: {reason}");
        assert_eq!(session.records()[0].error, Some(reason), "{name}");
    }
}

#[tokio::test]
async fn what_is_opened_is_searched_for_the_secret() {
    let world = World::new();
    let echo = format!("your token is {TOKEN}").into_bytes();
    let halves = [gzip(&echo[..20]), gzip(&echo[20..])].concat();
    for (name, lines, body) in
        [("gzip", &["gzip"][..], gzip(&echo)), ("two members", &["gzip"], halves), ("open", &["identity"], echo)]
    {
        let server = wrapped(lines, body).await;
        let session = world.session(&Given::ports(&[server.port()]).bearer(TOKEN));
        let response = session.send(get("{base-url}/")).await.expect(name);
        assert_eq!(response.body, "your token is [redacted]", "{name}");
        assert!(!response.headers.iter().any(|(header, _)| header == "content-length"), "{name}");
    }
}

#[tokio::test]
async fn bombs_are_cut_as_they_unfold() {
    const LIMIT: u64 = 1 << 20;
    let zeros = vec![0; 64 << 20];
    let bomb = gzip(&zeros);
    assert!(bomb.len() < 100 << 10, "{} bytes are no bomb", bomb.len());
    let members = gzip(&zeros[..4 << 20]).repeat(16);
    let chunked = [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(),
        format!("{:x}\r\n", bomb.len()).as_bytes(),
        &bomb,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let endless = Bytes::from(gzip(&zeros[..1 << 20]));
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    for (name, steps) in [
        ("whole", vec![say(head), say(bomb.clone())]),
        ("in a chunk", vec![say(chunked)]),
        ("in members", vec![say(head), say(members)]),
        ("without an end", vec![say(head), Step::Forever(endless)]),
    ] {
        let (world, server) = (World::new(), doing(steps).await);
        let mut given = Given::ports(&[server.port()]);
        given.limits.response_bytes = LIMIT;
        let session = world.session(&given);
        let outcome = session.send(get("{base-url}/")).await;
        assert_eq!(outcome, Err(SendError::LimitExceeded { which: "response_bytes", limit: LIMIT }), "{name}");
        let taken = session.records()[0].received_bytes;
        assert!(taken < LIMIT + (64 << 10), "{name}: {taken} bytes had unfolded");
    }
    // A bomb in a bomb is opened once: what is inside is small, and still wrapped.
    let nested = gzip(&bomb);
    let (world, server) = (World::new(), wrapped(&["gzip"], nested).await);
    let response = world.session(&Given::ports(&[server.port()])).send(get("{base-url}/")).await.expect("answered");
    assert_eq!(response.body, bomb);
}

#[tokio::test]
async fn wrappings_that_are_torn_say_so() {
    let whole = gzip(&b"hello ".repeat(1_000));
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let mut wrong_length = whole.clone();
    let length = wrong_length.len() - 1;
    wrong_length[length] ^= 1;
    for (name, body) in [
        ("no gzip", b"hello".to_vec()),
        ("a head alone", whole[..10].to_vec()),
        ("half a head", whole[..5].to_vec()),
        ("half a body", whole[..whole.len() / 2].to_vec()),
        ("no sum", whole[..whole.len() - 8].to_vec()),
        ("another sum", wrong_sum),
        ("another length", wrong_length),
        ("something after it", [&whole[..], b"and more"].concat()),
        ("another method", [&[0x1f, 0x8b, 9], &whole[3..]].concat()),
        ("a name without an end", [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0][..], &[b'a'; 100_000]].concat()),
    ] {
        let (world, server) = (World::new(), wrapped(&["gzip"], body).await);
        let session = world.session(&Given::ports(&[server.port()]));
        let outcome = session.send(get("{base-url}/")).await;
        let Err(SendError::Unreachable(reason)) = outcome else { panic!("{name}: {outcome:?}") };
        assert!(reason.contains(&format!("{} broke off", server.url(""))), "{name}: {reason}");
        assert_eq!(session.records()[0].error, Some(reason), "{name}");
    }
}
