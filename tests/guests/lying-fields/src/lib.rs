//! Blames a hundred thousand fields, by paths that are no JSON pointers.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, FieldProblem, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let paths = ["no-slash", "/~", "/~9", "\n", "/\u{1b}[2J", "/a/b"].map(str::to_owned);
    let many = (0..100_000).map(|index| format!("/{index}"));
    let problem = |path: String| FieldProblem { path, expected: "x".repeat(5), got: "y".to_owned() };
    let long = FieldProblem { path: "/p".repeat(5_000), expected: "e".repeat(10_000), got: "g".repeat(10_000) };
    Err(Error::InvalidInput(std::iter::once(long).chain(paths.into_iter().chain(many).map(problem)).collect()))
}
