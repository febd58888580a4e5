//! What a guest writes to its standard output and error, line by line.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Takes the lines, without their line ends.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// A log that passes the lines on to this process's standard output.
pub fn to_stdout() -> Log {
    Arc::new(|line| println!("{line}"))
}

/// One stream of one instance. Its clones share the line that is not complete yet; what is left of it when the instance
/// ends is a line, too.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<Buffer>>);

struct Buffer {
    partial: Vec<u8>,
    log: Log,
}

impl Lines {
    pub(crate) fn new(log: Log) -> Self {
        Self(Arc::new(Mutex::new(Buffer {
            partial: Vec::new(),
            log,
        })))
    }
}

impl Buffer {
    fn write(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            (self.log)(&String::from_utf8_lossy(&line[..end]));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            (self.log)(&String::from_utf8_lossy(&self.partial));
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = {
            let seen = seen.clone();
            Lines::new(Arc::new(move |line| {
                seen.lock().unwrap().push(line.to_owned());
            }))
        };
        for part in ["one\ntw", "o", "\n", "\nlast"] {
            lines.0.lock().unwrap().write(part.as_bytes());
        }
        assert_eq!(*seen.lock().unwrap(), ["one", "two", ""]);
        drop(lines);
        assert_eq!(*seen.lock().unwrap(), ["one", "two", "", "last"]);
    }
}
