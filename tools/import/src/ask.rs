//! Asking before something that only an import can undo.

use std::io::{self, BufRead, Write};

use anyhow::{Context, Result, bail};

/// Asks on standard error for a word, and reads it from standard input.
///
/// # Errors
/// If the answer is anything else, or there is none.
pub(crate) fn for_word(question: &str, word: &str) -> Result<()> {
    compare(question, word, &mut io::stdin().lock(), &mut io::stderr())
}

fn compare(question: &str, word: &str, from: &mut impl BufRead, to: &mut impl Write) -> Result<()> {
    write!(to, "{question}\nType {word} to confirm: ")
        .and_then(|()| to.flush())
        .context("asking")?;
    let mut line = String::new();
    let read = from.read_line(&mut line).context("reading the answer")?;
    if read == 0 {
        // whatever follows begins on a line of its own
        let _ = writeln!(to);
        bail!("nobody answered: nothing was deleted. Without a terminal, --yes confirms");
    }
    if line.trim() != word {
        bail!("not confirmed: nothing was deleted");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: &str) -> Result<()> {
        let mut asked = Vec::new();
        let result = compare("Really?", "products", &mut answer.as_bytes(), &mut asked);
        assert!(asked.starts_with(b"Really?\nType products to confirm: "));
        result
    }

    #[test]
    fn only_the_word_confirms() {
        answered("products\n").expect("the word");
        answered(" products ").expect("the word");
        for other in [
            "",
            "\n",
            "yes\n",
            "y\n",
            "Products\n",
            "categories\nproducts\n",
        ] {
            assert!(answered(other).is_err(), "{other:?}");
        }
    }
}
