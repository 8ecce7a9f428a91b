//! A name server that responds from a table, over UDP. A process uses it through
//! `WAYBILL_NAME_SERVER`.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::UdpSocket, task::JoinHandle};

const A: u16 = 1;
const AAAA: u16 = 28;
const HEADER_BYTES: usize = 12;

/// How the name server responds for a name.
#[derive(Debug, Clone)]
enum Entry {
    Addresses {
        addresses: Vec<IpAddr>,
        ttl_seconds: u32,
    },
    Silent,
}

/// A listening name server. Names without an entry do not exist.
pub struct NameServer {
    address: SocketAddr,
    names: Names,
    asked: Asked,
    task: JoinHandle<()>,
}

/// The names of all queries, in the order in which they arrived.
type Asked = Arc<Mutex<Vec<String>>>;
type Names = Arc<Mutex<HashMap<String, Entry>>>;

impl NameServer {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = socket.local_addr().expect("a socket has an address");
        let names = Names::default();
        let (known, asked) = (Arc::clone(&names), Asked::default());
        let questions = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_024];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                if let Some((name, _)) = name(&buffer[..length]) {
                    questions
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(name);
                }
                if let Some(answer) = answer(&buffer[..length], &known) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        Self {
            address,
            names,
            asked,
            task,
        }
    }

    /// Returns the address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the addresses of a name and their time to live.
    pub fn set(&self, name: &str, addresses: &[&str], ttl_seconds: u32) {
        let addresses = addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect();
        self.put(
            name,
            Entry::Addresses {
                addresses,
                ttl_seconds,
            },
        );
    }

    /// Stops responding to queries for a name and for names that end in it.
    pub fn silence(&self, name: &str) {
        self.put(name, Entry::Silent);
    }

    /// Returns the names of all queries so far, one for each address family, in the order in which
    /// they arrived.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn put(&self, name: &str, entry: Entry) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), entry);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes the response to a query (RFC 1035, section 4).
fn answer(question: &[u8], names: &Names) -> Option<Vec<u8>> {
    let (name, end) = name(question)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let parent = name.split_once('.').map_or("", |(_, parent)| parent);
    let entry = names.get(&name).or_else(|| {
        names
            .get(parent)
            .filter(|entry| matches!(entry, Entry::Silent))
    });
    let (addresses, ttl, code) = match entry {
        Some(Entry::Silent) => return None,
        Some(Entry::Addresses {
            addresses,
            ttl_seconds,
        }) => (addresses.as_slice(), *ttl_seconds, 0),
        None => (&[][..], 0, 3),
    };
    let records = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), A) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), AAAA) => Some(address.octets().to_vec()),
            _ => None,
        });
    let records: Vec<Vec<u8>> = records.collect();
    let mut message = question[..2].to_vec();
    message.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(records.len()).ok()?,
        0,
        0,
        0,
        0,
    ]);
    message.extend(&question[HEADER_BYTES..end + 4]);
    for record in records {
        message.extend([0xc0, u8::try_from(HEADER_BYTES).ok()?]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend(u16::try_from(record.len()).ok()?.to_be_bytes());
        message.extend(record);
    }
    Some(message)
}

/// Returns the name in a query, in lower case, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER_BYTES);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase());
        at += length;
    }
}
