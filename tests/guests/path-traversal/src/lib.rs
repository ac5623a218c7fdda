//! Leaves its granted folder by paths of every shape.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, files, guest, list, say_file};

guest!(act);

const PATHS: [&str; 20] = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "../outside.txt",
    "inbox/../outside.txt",
    "inbox/../../outside.txt",
    "inbox/./../outside.txt",
    "inbox/sub/../../outside.txt",
    "inbox//outside.txt",
    "inbox/",
    "./inbox/letter.txt",
    "inbox/\0",
    "inbox/letter.txt\0.png",
    "inbox/a\nb",
    "inbox/.sluicegate-0.tmp",
    "inbox/link.txt",
    "inbox/linked/outside.txt",
];

fn act(_input: &str) -> Result<String, Error> {
    let mut said = Vec::new();
    for path in PATHS {
        said.push(format!("read {path:?} {}", say_file(&files::read(path, 0, 1_000))));
        said.push(format!("write {path:?} {}", say_file(&files::write(path, b"owned"))));
        said.push(format!("append {path:?} {}", say_file(&files::append(path, b"owned"))));
        said.push(format!("rename {path:?} {}", say_file(&files::rename("inbox/letter.txt", path))));
    }
    Ok(list(said))
}
