//! What a run document takes up.

use std::io;

use serde::Serialize;

use super::document::RunDocument;

impl RunDocument {
    /// What all of it but the cursor takes up, in bytes.
    #[must_use]
    pub fn bytes_beside_cursor(&self) -> usize {
        json_bytes(self).saturating_sub(json_bytes(&self.cursor))
    }
}

/// How long a value is as JSON.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // neither counting nor a document's members, whose names are texts, can fail
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::{Cursor, IdRange, Resource, RunOptions};

    #[test]
    fn the_cursor_is_left_out_whatever_it_has() {
        let start = |ranges| {
            RunDocument::start(
                Resource::Products,
                "run".to_owned(),
                RunOptions::default(),
                Cursor {
                    ranges,
                    ..Cursor::default()
                },
                jiff::Timestamp::UNIX_EPOCH,
            )
        };
        let (small, large) = (start(Vec::new()), start(vec![IdRange::default(); 90]));
        let bytes = small.bytes_beside_cursor();
        assert_eq!(large.bytes_beside_cursor(), bytes);
        let text = serde_json::to_string(&small).unwrap();
        assert_eq!(text.len() - bytes, r#"{"phaseRecords":0}"#.len());
    }
}
