//! A stand-in for a platform's API: it answers as it is told, wants its token, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it answers one request; without a mood, well.
#[derive(Debug, Clone)]
pub enum Mood {
    /// As ever.
    Well,
    /// With this status.
    Status(u16),
    /// 429, and after so many seconds again.
    Busy(u32),
    /// Not at all.
    Hang,
    /// 200 with these bytes, whatever was asked.
    Bytes(Vec<u8>),
    /// A redirect to this address.
    Redirect(String),
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// `GET /path?query`.
    pub line: String,
    /// The body.
    pub body: String,
    /// Whether the token was right.
    pub authorised: bool,
}

/// Gives a document, or none.
type Documents = Box<dyn Fn(&Asked) -> Option<String> + Send>;

struct State {
    token: String,
    moods: VecDeque<Mood>,
    asked: Vec<Asked>,
    answer: Documents,
}

/// The stand-in. It ends when it is dropped.
pub struct Platform {
    address: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Platform {
    /// Starts one that wants `Bearer TOKEN`. `answer` gives the documents; what it does not give is 404.
    pub async fn start(token: &str, answer: impl Fn(&Asked) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            token: token.into(),
            moods: VecDeque::new(),
            asked: Vec::new(),
            answer: Box::new(answer),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// Its address, without a path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its moods for the next requests, in order.
    pub fn will(&self, moods: &[Mood]) {
        self.state.lock().unwrap().moods.extend(moods.iter().cloned());
    }

    /// Other documents from now on.
    pub fn answers(&self, answer: impl Fn(&Asked) -> Option<String> + Send + 'static) {
        self.state.lock().unwrap().answer = Box::new(answer);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Waits until it was asked so many times.
    pub async fn wait_until_asked(&self, times: usize) -> Vec<Asked> {
        let start = Instant::now();
        loop {
            let asked = self.asked();
            if asked.len() >= times {
                return asked;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "asked {} times of {times}", asked.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request of a connection, and its end.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let authorisation = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_string())
    });
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_string();
    let answer = {
        let mut state = state.lock().unwrap();
        let authorised = authorisation == Some(format!("Bearer {}", state.token));
        let asked = Asked { at: Instant::now(), line, body, authorised };
        state.asked.push(asked.clone());
        match state.moods.pop_front() {
            Some(Mood::Hang) => None,
            Some(Mood::Status(status)) => Some((status, String::new(), b"{}".to_vec())),
            Some(Mood::Busy(seconds)) => Some((429, format!("retry-after: {seconds}\r\n"), Vec::new())),
            Some(Mood::Redirect(to)) => Some((302, format!("location: {to}\r\n"), Vec::new())),
            Some(Mood::Bytes(bytes)) => Some((200, String::new(), bytes)),
            Some(Mood::Well) | None if !asked.authorised => Some((401, String::new(), Vec::new())),
            Some(Mood::Well) | None => match (state.answer)(&asked) {
                Some(document) => Some((200, String::new(), document.into_bytes())),
                None => Some((404, String::new(), Vec::new())),
            },
        }
    };
    let Some((status, headers, body)) = answer else {
        tokio::time::sleep(Duration::from_secs(60)).await;
        return;
    };
    let head = format!(
        "HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}

/// The head of a request and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or_default() {
                return Some((head.into(), body.into()));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
