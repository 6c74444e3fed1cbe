//! A WireGuard interface that is only a socket: it speaks the protocol between `wg` and userspace implementations
//! (https://www.wireguard.com/xplatform/) and remembers what it was told.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

const FOLDER: &str = "/run/wireguard";
const PORT: &str = "51820";
/// A private key as Curve25519 wants it: three low bits clear, the highest but one set.
const PRIVATE_KEY: [u8; 32] = [0x48; 32];

pub(super) struct Interface {
    name: String,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    private_key: String,
    listen_port: String,
    peers: BTreeMap<String, Peer>,
    last_change: String,
    is_over: bool,
}

#[derive(Default)]
struct Peer {
    preshared_key: String,
    allowed_ips: Vec<String>,
}

impl Interface {
    /// With one peer that Core knows nothing of.
    pub(super) fn with_peer(public_key: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Linux allows 15 characters.
        let name = format!("pt{}n{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let found = fs::create_dir_all(FOLDER).and_then(|()| UnixListener::bind(socket(&name)));
        let listener = found.unwrap_or_else(|error| {
            panic!("cannot make an interface for `wg` in {FOLDER}: this test needs root: {error}")
        });
        let state = State {
            private_key: hex(&PRIVATE_KEY),
            listen_port: PORT.to_owned(),
            peers: BTreeMap::from([(hex(&STANDARD.decode(public_key).unwrap()), Peer::default())]),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || serve(&listener, &shared));
        Self { name, state, thread: Some(thread) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Public key, preshared key and allowed IPs of each.
    pub(super) fn peers(&self) -> Vec<(String, String, Vec<String>)> {
        let state = self.state.lock().unwrap();
        let peers = state.peers.iter();
        peers.map(|(key, peer)| (base64(key), base64(&peer.preshared_key), peer.allowed_ips.clone())).collect()
    }

    pub(super) fn has_its_key_and_port(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.private_key == hex(&PRIVATE_KEY) && state.listen_port == PORT
    }

    /// Empty: nobody changed anything yet.
    pub(super) fn last_change(&self) -> String {
        self.state.lock().unwrap().last_change.clone()
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        self.state.lock().unwrap().is_over = true;
        // Wakes the thread.
        UnixStream::connect(socket(&self.name)).ok();
        fs::remove_file(socket(&self.name)).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listener: &UnixListener, state: &Mutex<State>) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let lines: Vec<String> =
            BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
        let mut state = state.lock().unwrap();
        if state.is_over {
            return;
        }
        let answer = match lines.first().map(String::as_str) {
            Some("get=1") => state.tell(),
            Some("set=1") => state.apply(&lines),
            // `wg` looks whether anybody is there.
            _ => continue,
        };
        (&stream).write_all(answer.as_bytes()).unwrap();
    }
}

impl State {
    fn tell(&self) -> String {
        let mut text = format!("private_key={}\nlisten_port={}\n", self.private_key, self.listen_port);
        for (key, peer) in &self.peers {
            text.push_str(&format!("public_key={key}\npreshared_key={}\n", or_zeros(&peer.preshared_key)));
            text.extend(peer.allowed_ips.iter().map(|range| format!("allowed_ip={range}\n")));
        }
        text + "errno=0\n\n"
    }

    fn apply(&mut self, lines: &[String]) -> String {
        self.last_change = lines.join("\n");
        let mut current = String::new();
        for (key, value) in lines.iter().filter_map(|line| line.split_once('=')) {
            let value = value.to_owned();
            match key {
                "private_key" => self.private_key = value,
                "listen_port" => self.listen_port = value,
                "replace_peers" => self.peers.clear(),
                "public_key" => current = value,
                "remove" => drop(self.peers.remove(&current)),
                "preshared_key" => self.peer(&current).preshared_key = value,
                "replace_allowed_ips" => self.peer(&current).allowed_ips.clear(),
                "allowed_ip" => self.peer(&current).allowed_ips.push(value),
                _ => {}
            }
        }
        "errno=0\n\n".to_owned()
    }

    fn peer(&mut self, key: &str) -> &mut Peer {
        self.peers.entry(key.to_owned()).or_default()
    }
}

fn socket(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(format!("{name}.sock"))
}

fn or_zeros(key: &str) -> String {
    if key.is_empty() { "0".repeat(64) } else { key.to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(hex: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    STANDARD.encode(hex.as_bytes().chunks_exact(2).map(byte).collect::<Vec<_>>())
}
