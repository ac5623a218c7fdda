//! Who is at the other end of the Unix socket, and who this process is.

use api::Caller;
use tokio::net::UnixStream;

/// The peer, if it is this user or root; the socket's mode lets no other in.
pub(crate) fn of(stream: &UnixStream) -> Option<Caller> {
    let uid = stream.peer_cred().ok()?.uid();
    (uid == 0 || uid == own_uid()).then(|| Caller(login_name(uid)))
}

/// This process's user.
pub(crate) fn own() -> Caller {
    Caller(login_name(own_uid()))
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// From `/etc/passwd`; users of other directories are called by their number.
fn login_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    find(&users, uid).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

fn find(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_come_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(super::find(users, 1000), Some("ada"));
        assert_eq!(super::find(users, 0), Some("root"));
        assert_eq!(super::find(users, 7), None);
    }
}
