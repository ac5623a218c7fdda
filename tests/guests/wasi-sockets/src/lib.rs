//! Opens sockets and resolves names behind the contract's back. The input is a port.
#![cfg(target_arch = "wasm32")]

use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

use guest_common::{Error, guest, list};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let port: u16 = input.parse().expect("the test gives a port");
    let udp = || UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", ("127.0.0.1", port));
    let tried = [
        ("tcp", TcpStream::connect(("127.0.0.1", port)).is_ok()),
        ("tcp6", TcpStream::connect(("::1", port)).is_ok()),
        ("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("udp", udp().is_ok()),
        ("names", ("localhost", port).to_socket_addrs().is_ok()),
    ];
    Ok(list(tried.iter().filter(|(_, worked)| *worked).map(|(what, _)| (*what).to_owned())))
}
