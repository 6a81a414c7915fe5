//! A small HTTP/1.1 server that serves files with ranges and validators, and can be told to misbehave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::Mirror;

/// What goes wrong with one request for a binary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Close the connection after so many bytes of the body.
    CutAfter(usize),
    /// Send so many bytes of the body and then nothing, without closing.
    StallAfter(usize),
    /// Answer with this status and no file.
    Status(u16),
}

/// What the server serves and how it behaves.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub files: BTreeMap<String, Vec<u8>>,
    pub etag: Option<&'static str>,
    /// Answer 200 with everything to a range request.
    pub ignore_range: bool,
    /// Answer 206 even when If-Range does not match.
    pub ignore_if_range: bool,
    /// Send no Content-Length and close at the end.
    pub no_length: bool,
    /// Faults for the coming requests for anything but a checksum file, one each.
    pub faults: VecDeque<Fault>,
    /// The requests so far.
    pub requests: Vec<Request>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

/// The running server; it ends with the value.
pub(super) struct Server {
    address: std::net::SocketAddr,
    site: Arc<Mutex<Site>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `binary` as the tests' version, with its checksum file.
    pub(super) async fn with(binary: &[u8]) -> Self {
        let mut files = BTreeMap::new();
        files.insert(
            format!("/{}/{}", super::VERSION, super::asset()),
            binary.to_vec(),
        );
        files.insert(
            format!("/{}/{}", super::VERSION, super::sums()),
            super::listing(binary).into_bytes(),
        );
        Self::start(Site {
            files,
            etag: Some("\"one\""),
            ..Site::default()
        })
        .await
    }

    pub(super) async fn start(site: Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let site = Arc::new(Mutex::new(site));
        let shared = Arc::clone(&site);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            site,
            task,
        }
    }

    pub(super) fn mirror(&self) -> Mirror {
        Mirror::parse(&format!("http://{}/", self.address)).expect("URL")
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Site)) {
        change(&mut self.site.lock().expect("unpoisoned"));
    }

    /// The requests for binaries so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        let all = self.site.lock().expect("unpoisoned").requests.clone();
        all.into_iter()
            .filter(|request| !request.path.ends_with(".txt"))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, site: Arc<Mutex<Site>>) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push(line.trim_end().to_owned()),
        }
    }
    let header = |name: &str| {
        let matching = head
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.to_owned())
    };
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or("/")
        .to_owned();
    let request = Request {
        path,
        range: header("range"),
        if_range: header("if-range"),
    };
    let (reply, body, stall) = reply_to(&request, &site);
    let stream = stream.get_mut();
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.flush().await;
    if stall {
        std::future::pending::<()>().await;
    }
}

/// The head, the body as far as it is sent, and whether the connection then stays open in silence.
fn reply_to(request: &Request, site: &Mutex<Site>) -> (String, Vec<u8>, bool) {
    let mut site = site.lock().expect("unpoisoned");
    site.requests.push(request.clone());
    let fault = if request.path.ends_with(".txt") {
        None
    } else {
        site.faults.pop_front()
    };
    let empty = |status: u16| {
        (
            format!("HTTP/1.1 {status} Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            Vec::new(),
            false,
        )
    };
    if let Some(Fault::Status(status)) = fault {
        return empty(status);
    }
    let Some(file) = site.files.get(&request.path) else {
        return empty(404);
    };
    let from = request.range.as_deref().and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .split('-')
            .next()?
            .parse::<usize>()
            .ok()
    });
    let fresh = request.if_range.is_none()
        || request.if_range.as_deref() == site.etag
        || site.ignore_if_range;
    let from = from.filter(|_| fresh && !site.ignore_range);
    let tag = site
        .etag
        .map_or(String::new(), |etag| format!("etag: {etag}\r\n"));
    let (status, range, body) = match from {
        Some(from) if from >= file.len() => {
            let head = format!(
                "HTTP/1.1 416 Range\r\ncontent-range: bytes */{}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                file.len()
            );
            return (head, Vec::new(), false);
        }
        Some(from) => (
            "206 Partial",
            format!(
                "content-range: bytes {from}-{}/{}\r\n",
                file.len() - 1,
                file.len()
            ),
            &file[from..],
        ),
        None => ("200 OK", String::new(), &file[..]),
    };
    let length = if site.no_length {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let head = format!("HTTP/1.1 {status}\r\n{tag}{range}{length}connection: close\r\n\r\n");
    match fault {
        Some(Fault::CutAfter(bytes)) => (head, body[..bytes].to_vec(), false),
        Some(Fault::StallAfter(bytes)) => (head, body[..bytes].to_vec(), true),
        _ => (head, body.to_vec(), false),
    }
}
