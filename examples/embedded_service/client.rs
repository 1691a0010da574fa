//! A client of the service, as small as can be: one connection for each request.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long to wait for what is expected to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the service is.
pub(crate) struct Client(pub(crate) SocketAddr);

/// What the service answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Client {
    /// Sends a request, and leaves its answer unread; dropping the connection hangs up.
    pub(crate) async fn open(&self, path: &str) -> Result<TcpStream, Box<dyn Error>> {
        let mut connection = TcpStream::connect(self.0).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        Ok(connection)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply, Box<dyn Error>> {
        let mut text = String::new();
        self.open(path).await?.read_to_string(&mut text).await?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no end of the head")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok(Reply { status, head: head.to_owned(), body: serde_json::from_str(body)? })
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn until(
        &self,
        path: &str,
        wanted: impl Fn(&Reply) -> bool,
    ) -> Result<Reply, Box<dyn Error>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.get(path).await?;
            if wanted(&reply) {
                return Ok(reply);
            }
            if Instant::now() > deadline {
                return Err(format!("{path} never got there: {} {}", reply.status, reply.body).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}
